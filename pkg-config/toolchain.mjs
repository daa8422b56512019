// How wasm32 is built on this machine. Three ways are tried in order of least surprise; the one that works is kept in
// .tools/toolchain.json for as long as the compilers that were found stay the same.
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { run } from "./child.mjs";
import { SetupFailure } from "./failure.mjs";
import { root, toolsDir } from "./paths.mjs";
import { installPackages } from "./system-packages.mjs";

const target = "wasm32-unknown-unknown";
/** tract's minimum, which is the highest among our dependencies. */
export const minimumRust = [1, 91];
const kept = join(toolsDir, "toolchain.json");
const debianPackages = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/** Every `name` on PATH, first found first, links resolved once. */
export function onPath(name) {
  const seen = new Set();
  const found = [];
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
    } catch {
      continue;
    }
    const real = realpathSync(file);
    if (seen.has(real) || !statSync(real).isFile()) continue;
    seen.add(real);
    found.push(file);
  }
  return found;
}

function answer(program, args) {
  try {
    return execFileSync(program, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

/** The compilers on PATH that answer, with the facts the choice rests on. */
function compilers() {
  return onPath("rustc").flatMap((rustc) => {
    const version = answer(rustc, ["--version"]);
    const numbers = version?.match(/^rustc (\d+)\.(\d+)/);
    if (!numbers) return [];
    return [{ rustc, version, major: Number(numbers[1]), minor: Number(numbers[2]) }];
  });
}

/**
 * What tells that the compilers have changed, without starting one: links, sizes and times, and rustup's own record of updates
 * (its proxies stay the same file whatever they start).
 */
function traces() {
  const rustup = process.env.RUSTUP_HOME ?? join(homedir(), ".rustup");
  return [...onPath("rustc"), join(rustup, "update-hashes"), join(rustup, "settings.toml")].map((file) => {
    const at = statSync(file, { throwIfNoEntry: false });
    return at && [file, at.size, at.mtimeMs];
  });
}

const isNewEnough = ({ major, minor }) => major > minimumRust[0] || (major === minimumRust[0] && minor >= minimumRust[1]);

/** Way 1: the compiler has a precompiled standard library for wasm32. */
function precompiled({ rustc, version }) {
  const folder = answer(rustc, ["--print", "target-libdir", "--target", target]);
  if (!folder || !existsSync(folder) || !readdirSync(folder).some((file) => file.startsWith("libstd-"))) return undefined;
  return { way: "precompiled standard library", rustc, version, cargo: cargoBeside(rustc), args: [], env: {} };
}

/** Way 3: the standard library's sources are there and it is built with the crate. */
function fromSources({ rustc, version }) {
  const sysroot = answer(rustc, ["--print", "sysroot"]);
  if (!sysroot || !existsSync(join(sysroot, "lib/rustlib/src/rust/library/Cargo.lock"))) return undefined;
  const host = answer(rustc, ["-vV"])?.match(/^host: (.+)$/m)?.[1] ?? "";
  const inSysroot = existsSync(join(sysroot, "lib/rustlib", host, "bin/rust-lld"));
  const linker = inSysroot ? "rust-lld" : newestLinker();
  if (!linker) return undefined;
  return {
    way: "standard library built from its sources",
    rustc,
    version,
    cargo: cargoBeside(rustc),
    args: ["-Zbuild-std=std,panic_abort"],
    // Building std is a nightly option; the sources match this compiler, so letting the stable one accept it is safe.
    env: { RUSTC_BOOTSTRAP: "1", CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: linker },
  };
}

/** `wasm-ld`, else the newest `wasm-ld-NN` on PATH. */
function newestLinker() {
  if (onPath("wasm-ld").length > 0) return "wasm-ld";
  const versions = (process.env.PATH ?? "").split(delimiter).flatMap((folder) => {
    try {
      return readdirSync(folder).flatMap((file) => Number(file.match(/^wasm-ld-(\d+)$/)?.[1] ?? []) || []);
    } catch {
      return [];
    }
  });
  return versions.length > 0 ? `wasm-ld-${Math.max(...versions)}` : undefined;
}

/** The cargo that came with a compiler; any other of PATH works as well, since the compiler is named to it. */
function cargoBeside(rustc) {
  const beside = join(rustc, "..", "cargo");
  return existsSync(beside) ? beside : onPath("cargo")[0];
}

const usable = (toolchain) => (toolchain?.cargo ? { ...toolchain, env: { ...toolchain.env, RUSTC: toolchain.rustc } } : undefined);

function firstUsable(candidates, way) {
  for (const compiler of candidates) {
    const toolchain = usable(way(compiler));
    if (toolchain) return toolchain;
  }
  return undefined;
}

/** Rust links build scripts and macros by the system's C compiler: without one nothing builds. */
async function needLinker({ allowSystem, say, verbose }) {
  const found = () => ["cc", "gcc", "clang"].some((name) => onPath(name).length > 0);
  if (found()) return;
  await installPackages(["build-essential"], { allowSystem, say, verbose, reason: "to link (no C compiler was found)" });
  if (!found())
    throw new SetupFailure("no C compiler was found, which Rust links with: on Debian `apt install build-essential`", { status: 2 });
}

const advice = `no way of building ${target} was found: run \`rustup target add ${target}\`, or on Debian \`apt install ${debianPackages.join(" ")}\``;

/**
 * Chooses the way to build wasm32.
 * @param {{ allowSystem: boolean, say: (line: string) => void, verbose: boolean }} options
 * @returns {Promise<{ way: string, rustc: string, version: string, cargo: string, args: string[], env: Record<string, string> }>}
 * @throws {SetupFailure} status 2 with the one line that helps
 */
export async function chooseToolchain({ allowSystem, say, verbose }) {
  if (existsSync(kept)) {
    const { traces: then, toolchain } = JSON.parse(readFileSync(kept, "utf8"));
    if (JSON.stringify(then) === JSON.stringify(traces()) && existsSync(toolchain.cargo)) return toolchain;
  }
  await needLinker({ allowSystem, say, verbose });
  let candidates = compilers();
  const keep = (toolchain) => {
    mkdirSync(toolsDir, { recursive: true });
    writeFileSync(kept, JSON.stringify({ traces: traces(), toolchain }, null, 1));
    say(`Rust: ${toolchain.version}, ${target} by way of: ${toolchain.way}`);
    return toolchain;
  };
  const choose = () => firstUsable(candidates.filter(isNewEnough), precompiled);

  let toolchain = choose();
  if (toolchain) return keep(toolchain);

  if (candidates.some(isNewEnough) && onPath("rustup").length > 0) {
    say(`${target}: asking rustup for its standard library (about 20 s)`);
    const added = await run("rustup", ["target", "add", target], { log: "rustup-target", verbose, timeoutMs: 300_000 });
    toolchain = added.status === 0 ? choose() : undefined;
    if (toolchain) return keep(toolchain);
    say(`rustup could not add ${target}: going on with the standard library's sources`);
  }

  const built = () => firstUsable(candidates.filter(isNewEnough), fromSources);
  toolchain = built();
  if (toolchain) return keep(toolchain);

  if (await installPackages(debianPackages, { allowSystem, say, verbose, reason: `to build ${target}` })) {
    candidates = compilers();
    toolchain = choose() ?? built();
    if (toolchain) return keep(toolchain);
  }
  const newest = candidates[0];
  if (!newest)
    throw new SetupFailure(`Rust >= ${minimumRust.join(".")} is needed and no rustc was found on PATH. ${advice}`, { status: 2 });
  if (!candidates.some(isNewEnough))
    throw new SetupFailure(
      `Rust >= ${minimumRust.join(".")} is needed, found ${newest.version}: update it by \`rustup update\`. Otherwise ${advice}`,
      { status: 2 },
    );
  throw new SetupFailure(`${newest.version}: ${advice}`, { status: 2 });
}
