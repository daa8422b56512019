// Layer `wasm`: the crate's wasm tests, run by wasm-bindgen's test runner in a dedicated worker of Chromium, SIMD128 on.
import { basename, join } from "node:path";
import { findProgram, needPrograms } from "../browsers.mjs";
import { run } from "../child.mjs";
import { root, targetDir } from "../paths.mjs";
import { readLibtest } from "../reports.mjs";
import { wasmBindgenDir } from "../wasm-bindgen.mjs";

const end = (runner, { status, timedOut, log, output }) => ({
  runner,
  status,
  timedOut,
  log,
  tail: output.split("\n").slice(-30).join("\n"),
});

/** The test programs of cargo's JSON messages. */
const executables = (messages) =>
  messages.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const message = JSON.parse(line);
    return message.reason === "compiler-artifact" && message.profile.test && message.executable ? [message.executable] : [];
  });

export const wasm = (toolchain, machine) => ({
  name: "wasm",
  limitMs: 20 * 60_000,
  unavailable: () => needPrograms(["chromium", "chromedriver"], machine),
  async run({ filter, verbose, limitMs }) {
    const args = ["test", "--locked", "--target", "wasm32-unknown-unknown", "--lib", "--test", "wasm", "--no-run", ...toolchain.args];
    const built = await run(toolchain.cargo, [...args, "--message-format", "json-render-diagnostics"], {
      env: { ...toolchain.env, CARGO_TARGET_DIR: targetDir, CARGO_TERM_COLOR: "never" },
      log: "test-wasm-build",
      verbose,
      timeoutMs: limitMs,
    });
    if (built.status !== 0) return { cases: [], ends: [end("cargo test --no-run", built)] };
    const cases = [];
    const ends = [];
    for (const program of executables(built.output)) {
      const runner = `wasm tests of ${basename(program).replace(/-[0-9a-f]+\.wasm$/, "")}`;
      const result = await run(join(wasmBindgenDir(), "wasm-bindgen-test-runner"), [program, ...(filter ? [filter] : [])], {
        cwd: join(root, "tests/wasm"), // where webdriver.json lies: the runner reads it from its working directory
        env: { CHROMEDRIVER: findProgram("chromedriver"), WASM_BINDGEN_USE_DEDICATED_WORKER: "1", WASM_BINDGEN_TEST_TIMEOUT: "300" },
        log: `test-${basename(program, ".wasm")}`,
        verbose,
        timeoutMs: limitMs,
      });
      cases.push(...readLibtest(result.output, () => "npm test -- --layer wasm").map((one) => ({ ...one, runner })));
      ends.push(end(runner, result));
    }
    return { cases, ends };
  },
});
