// Layer `wasm`: the crate's wasm tests, run by wasm-bindgen's test runner in a dedicated worker of Chromium, SIMD128 on.
import { join } from "node:path";
import { findProgram, needPrograms } from "../browsers.mjs";
import { run } from "../child.mjs";
import { root, targetDir } from "../paths.mjs";
import { readLibtest } from "../reports.mjs";
import { wasmBindgenDir } from "../wasm-bindgen.mjs";

export const wasm = (toolchain, machine) => ({
  name: "wasm",
  limitMs: 20 * 60_000,
  unavailable: () => needPrograms(["chromium", "chromedriver"], machine),
  async run({ filter, verbose, limitMs }) {
    const args = ["test", "--locked", "--target", "wasm32-unknown-unknown", "--test", "wasm", ...toolchain.args];
    const result = await run(toolchain.cargo, [...args, ...(filter ? ["--", filter] : [])], {
      cwd: join(root, "tests/wasm"), // where webdriver.json lies: the driver reads it from its working directory
      env: {
        ...toolchain.env,
        CARGO_TARGET_DIR: targetDir,
        CARGO_TERM_COLOR: "never",
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: join(wasmBindgenDir(), "wasm-bindgen-test-runner"),
        CHROMEDRIVER: findProgram("chromedriver"),
        WASM_BINDGEN_TEST_TIMEOUT: "300",
      },
      log: "test-wasm",
      verbose,
      timeoutMs: limitMs,
    });
    const end = { runner: "wasm-bindgen-test-runner", status: result.status, timedOut: result.timedOut, log: result.log };
    return {
      cases: readLibtest(result.output, () => "npm test -- --layer wasm"),
      ends: [{ ...end, tail: result.output.split("\n").slice(-30).join("\n") }],
    };
  },
});
