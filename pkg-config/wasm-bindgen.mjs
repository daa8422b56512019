// The wasm-bindgen command, in the version that Cargo.lock names: glue and crate must be of one version.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must, run } from "./child.mjs";
import { SetupFailure } from "./failure.mjs";
import { root, toolsDir } from "./paths.mjs";

/** The version of wasm-bindgen that Cargo.lock holds. */
export function wasmBindgenVersion() {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const version = lock.match(/name = "wasm-bindgen"\nversion = "([^"]+)"/)?.[1];
  if (!version) throw new SetupFailure("Cargo.lock names no wasm-bindgen: restore the file", { status: 1 });
  return version;
}

/** Where its programs lie: `wasm-bindgen` and `wasm-bindgen-test-runner`. */
export const wasmBindgenDir = () => join(toolsDir, `wasm-bindgen-${wasmBindgenVersion()}`, "bin");

export const hasWasmBindgen = () => existsSync(join(wasmBindgenDir(), "wasm-bindgen"));

// Compile time counts here, not speed: at this level the programs build in half of the time and still process a 10 MB module in
// seconds.
const quickBuild = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
  CARGO_PROFILE_RELEASE_DEBUG: "0",
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
};

/** Builds the programs. An interrupted build resumes, since its target folder is kept until success. */
export async function installWasmBindgen({ toolchain, verbose, say }) {
  const version = wasmBindgenVersion();
  const home = join(toolsDir, `wasm-bindgen-${version}`);
  const beside = `${home}.partial`;
  const build = join(toolsDir, "build", `wasm-bindgen-${version}`);
  mkdirSync(build, { recursive: true });
  const env = { ...quickBuild, RUSTC: toolchain.rustc, RUSTFLAGS: undefined, CARGO_TARGET_DIR: build };
  const args = ["install", "wasm-bindgen-cli", "--version", version, "--root", beside, "--force"];
  const locked = await run(toolchain.cargo, [...args, "--locked"], { env, log: "wasm-bindgen-cli", verbose });
  if (locked.status !== 0) {
    // A registry mirror may lack a release that the program's own lock file names: any compatible one will do for a build tool.
    say("wasm-bindgen CLI: its own lock file cannot be met here, trying compatible versions");
    await must(toolchain.cargo, args, { env, log: "wasm-bindgen-cli", verbose });
  }
  rmSync(home, { recursive: true, force: true });
  renameSync(beside, home);
  const answer = await must(join(wasmBindgenDir(), "wasm-bindgen"), ["--version"]);
  if (!answer.output.includes(version))
    throw new SetupFailure(`wasm-bindgen ${version} was built, yet it answers: ${answer.output.trim()}`);
  rmSync(build, { recursive: true, force: true });
}
