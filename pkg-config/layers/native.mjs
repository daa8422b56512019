// Layer `native`: the crate on this machine. cargo-nextest where it is installed, else `cargo test`; then the examples in the
// documentation, clippy and rustdoc without a warning.
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../child.mjs";
import { targetDir } from "../paths.mjs";
import { readJunit, readLibtest } from "../reports.mjs";

const features = ["--features", "neural"];

const endOf = (runner, { status, timedOut, log, output }) => ({
  runner,
  status,
  timedOut,
  log,
  tail: output.split("\n").slice(-40).join("\n"),
});

export const native = (toolchain) => ({
  name: "native",
  limitMs: 40 * 60_000,
  async run({ filter, verbose, limitMs }) {
    const env = { RUSTC: toolchain.rustc, CARGO_TARGET_DIR: targetDir, CARGO_TERM_COLOR: "never" };
    const cargo = (args, options) => run(toolchain.cargo, args, { env, verbose, timeoutMs: limitMs, ...options });
    const cases = [];
    const ends = [];
    const take = (runner, result, found) => {
      cases.push(...found.map((one) => ({ ...one, runner })));
      ends.push(endOf(runner, result));
    };

    const hasNextest = (await cargo(["nextest", "--version"])).status === 0;
    if (hasNextest) {
      const report = join(targetDir, "nextest/npm-test/junit.xml");
      rmSync(report, { force: true });
      const args = [
        "nextest",
        "run",
        "--locked",
        "--config-file",
        "pkg-config/nextest.toml",
        "--profile",
        "npm-test",
        "--no-tests=pass",
        ...features,
      ];
      const result = await cargo([...args, ...(filter ? [filter] : [])], { log: "test-native" });
      take(
        "cargo nextest",
        result,
        readJunit(report, (name) => `cargo nextest run ${features.join(" ")} -E 'test(=${name})'`),
      );
    } else {
      const args = ["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests", ...features];
      const result = await cargo([...args, ...(filter ? ["--", filter] : [])], { log: "test-native" });
      take(
        "cargo test",
        result,
        readLibtest(result.output, (name) => `cargo test ${features.join(" ")} -- --exact ${name}`),
      );
    }
    const examples = await cargo(["test", "--locked", "--doc", ...features, ...(filter ? ["--", filter] : [])], { log: "test-native-doc" });
    take(
      "documentation examples",
      examples,
      readLibtest(examples.output, () => `cargo test --doc ${features.join(" ")}`),
    );

    if (!filter) {
      const check = async (name, args, extra = {}) => {
        const result = await cargo(args, { log: `test-${name}`, env: { ...env, ...extra } });
        const status = result.status === 0 ? "passed" : "failed";
        cases.push({
          name: `cargo ${name} gives no warning`,
          status,
          message: result.output.split("\n").slice(0, 50).join("\n"),
          repeat: `cargo ${args.join(" ")}`,
        });
      };
      if ((await cargo(["clippy", "--version"])).status === 0)
        await check("clippy", ["clippy", "--locked", "--all-targets", ...features, "--", "-D", "warnings"]);
      else cases.push({ name: "cargo clippy gives no warning", status: "skipped", reason: "clippy is not installed" });
      await check("doc", ["doc", "--locked", "--no-deps", ...features], { RUSTDOCFLAGS: "-D warnings", ...rustdocBeside(toolchain) });
    }
    return { cases, ends };
  },
});

/** The documentation tool of the same compiler: mixing versions is an error of its own. */
function rustdocBeside({ rustc }) {
  const beside = join(rustc, "..", "rustdoc");
  return existsSync(beside) ? { RUSTDOC: beside } : {};
}
