// From the crate to core.wasm and neural.wasm with their glue, in .tools/wasm/<variant>/.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must } from "./child.mjs";
import { root, targetDir, wasmDir } from "./paths.mjs";
import { digest } from "./stamp.mjs";
import { wasmBindgenDir, wasmBindgenVersion } from "./wasm-bindgen.mjs";

/** The two files that one crate gives: the default features, and the same plus the network runtime. */
export const variants = {
  core: { features: [], expected: "1 min", reason: "decoding, beats, fingerprints" },
  neural: { features: ["--features", "neural"], expected: "4 min", reason: "the same and the network runtime" },
};

/** A build for try-outs: seconds instead of minutes, at about half the speed and twice the size. */
const quickProfile = ["lto=false", "codegen-units=16", "opt-level=2"].flatMap((setting) => ["--config", `profile.wasm.${setting}`]);

/** Flags of the environment are extended: set on their own they would replace those of .cargo/config.toml and with them SIMD128. */
const rustflags = () => (process.env.RUSTFLAGS ? { RUSTFLAGS: `${process.env.RUSTFLAGS} -C target-feature=+simd128` } : {});

export const wasmOutputs = (variant) => [join(wasmDir, variant, `${variant}_bg.wasm`), join(wasmDir, variant, `${variant}.js`)];

export const wasmDigest = (variant, { toolchain, quick }) =>
  digest(
    ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml", "src"],
    [variant, quick, toolchain.version, toolchain.way, wasmBindgenVersion(), process.env.RUSTFLAGS ?? ""],
  );

/** Compiles one variant and makes its glue; the folder is replaced whole at the end. */
export async function buildWasm(variant, { toolchain, quick, verbose }) {
  const env = { ...toolchain.env, ...rustflags(), CARGO_TARGET_DIR: targetDir };
  const cargo = ["build", "--lib", "--locked", "--profile", "wasm", "--target", "wasm32-unknown-unknown"];
  const flags = [...variants[variant].features, ...toolchain.args, ...(quick ? quickProfile : [])];
  await must(toolchain.cargo, [...cargo, ...flags], { env, verbose, log: `cargo-${variant}` });
  const beside = join(wasmDir, `${variant}.${process.pid}`);
  const product = join(targetDir, "wasm32-unknown-unknown/wasm/otolith.wasm");
  mkdirSync(beside, { recursive: true });
  // Function names serve only stack traces and cost 7 % of the gzipped size; a panic's text and place do not need them.
  const lean = ["--remove-name-section", "--remove-producers-section"];
  const glue = ["--target", "web", "--omit-default-module-path", ...lean, "--out-dir", beside, "--out-name", variant];
  await must(join(wasmBindgenDir(), "wasm-bindgen"), [product, ...glue], { cwd: root, verbose, log: `wasm-bindgen-${variant}` });
  const home = join(wasmDir, variant);
  if (existsSync(home)) rmSync(home, { recursive: true });
  renameSync(beside, home);
}
