// A machine made of stub programs: set-up runs for real in a copy of its scripts, with a PATH that holds nothing but these.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = new URL("../..", import.meta.url).pathname;

/** What the stub compiler is. */
export interface Compiler {
  /** Its version; default 1.95.0. */
  readonly version?: string;
  /** Whether the standard library for wasm32 is there from the start. */
  readonly hasTarget?: boolean;
  /** Whether the standard library's sources are there. */
  readonly hasSources?: boolean;
  /** Whether the sysroot has its own wasm linker. */
  readonly hasLinker?: boolean;
}

/** Result of a run of set-up. */
export interface Run {
  readonly status: number | null;
  readonly output: string;
  /** Every stub program that was started, with its arguments. */
  readonly calls: readonly string[];
}

/** Set-up in a folder of its own. */
export class FakeMachine {
  /** The project's folder on this machine. */
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "otolith-machine-")));
  readonly #bin = join(this.folder, "bin");
  readonly #sysroot = join(this.folder, "sysroot");
  readonly #calls = join(this.folder, "calls.txt");

  constructor() {
    mkdirSync(this.#bin);
    for (const path of [
      "package.json",
      "tsconfig.json",
      ".cargo/config.toml",
      "Cargo.toml",
      "js/index.ts",
      "src/lib.rs",
      "package-lock.json",
    ])
      this.write(path, `content of ${path}`);
    this.write("package.json", '{ "version": "0.1.0" }');
    this.write("Cargo.lock", '[[package]]\nname = "wasm-bindgen"\nversion = "0.2.130"\n');
    cpSync(join(root, "pkg-config"), join(this.folder, "pkg-config"), { recursive: true });
    this.write("pkg-config/generate-model-files.mjs", "");
    this.program("cc", "");
    this.program("npm", npmStub);
  }

  /** Writes a file of the project. */
  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** Text of a file of the project, or undefined. */
  read(path: string): string | undefined {
    return existsSync(join(this.folder, path)) ? readFileSync(join(this.folder, path), "utf8") : undefined;
  }

  /** Puts a program on PATH that notes its call and then does `script`. */
  program(name: string, script: string): void {
    const path = join(this.#bin, name);
    writeFileSync(
      path,
      `#!/bin/sh\nPATH=/usr/bin:/bin\necho "${name} $*" >> ${this.#calls}\nROOT=${this.folder}\nSYSROOT=${this.#sysroot}\n${script}\n`,
    );
    chmodSync(path, 0o755);
  }

  /** Installs the stub of Rust. */
  rust({ version = "1.95.0", hasTarget = false, hasSources = false, hasLinker = true }: Compiler = {}): void {
    if (hasTarget) this.write("sysroot/wasm32/libstd-1.rlib", "");
    if (hasSources) this.write("sysroot/lib/rustlib/src/rust/library/Cargo.lock", "");
    if (hasLinker) this.write("sysroot/lib/rustlib/fake-host/bin/rust-lld", "");
    this.program(
      "rustc",
      `case "$*" in
--version) echo "rustc ${version} (fake)";;
-vV) echo "host: fake-host";;
*target-libdir*) echo "$SYSROOT/wasm32";;
*sysroot*) echo "$SYSROOT";;
esac`,
    );
    this.program("cargo", cargoStub);
  }

  /** Runs set-up to its end. */
  build(args: readonly string[] = [], nodeOptions: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Run {
    writeFileSync(this.#calls, "");
    const result = spawnSync(process.execPath, [...nodeOptions, join(this.folder, "pkg-config/build.mjs"), ...args], {
      encoding: "utf8",
      env: { ...this.#environment, ...env },
    });
    return { status: result.status, output: `${result.stdout}${result.stderr}`, calls: this.#noted() };
  }

  /** Starts set-up and gives its process in hand. */
  start(args: readonly string[] = []): {
    readonly pid: number;
    readonly said: () => string;
    readonly ended: Promise<number | null>;
    kill(signal: NodeJS.Signals): void;
  } {
    const child = spawn(process.execPath, [join(this.folder, "pkg-config/build.mjs"), ...args], { env: this.#environment });
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    return { pid: child.pid ?? -1, said: () => text, ended, kill: (signal) => void child.kill(signal) };
  }

  get #environment() {
    return { PATH: this.#bin, HOME: this.folder, RUSTUP_HOME: join(this.folder, ".rustup") };
  }

  #noted(): string[] {
    return readFileSync(this.#calls, "utf8").split("\n").filter(Boolean);
  }
}

/** `npm ci`: packages that do what set-up needs of them. */
const npmStub = `
[ -f "$ROOT/npm-fails" ] && { echo "npm error: the registry is on fire"; exit 1; }
[ -f "$ROOT/npm-waits" ] && { touch "$ROOT/npm-waiting"; sleep 60; }
mkdir -p "$ROOT/node_modules/esbuild" "$ROOT/node_modules/typescript/bin"
echo '{ "name": "esbuild", "main": "index.js" }' > "$ROOT/node_modules/esbuild/package.json"
cat > "$ROOT/node_modules/esbuild/index.js" <<'JS'
const { writeFileSync, existsSync } = require("node:fs");
exports.build = async ({ outfile, absWorkingDir }) => {
  writeFileSync(outfile, "// bundled");
  if (existsSync(absWorkingDir + "/dist-waits")) { writeFileSync(absWorkingDir + "/dist-waiting", ""); await new Promise((r) => setTimeout(r, 60000)); }
};
JS
cat > "$ROOT/node_modules/typescript/bin/tsc" <<'JS'
const { writeFileSync } = require("node:fs");
writeFileSync(process.argv[process.argv.indexOf("--outDir") + 1] + "/index.d.ts", "export {};");
JS
echo '{}' > "$ROOT/node_modules/.package-lock.json"
`;

/** `cargo install` of wasm-bindgen and `cargo build` of the crate. */
const cargoStub = `
if [ "$1" = install ]; then
  [ -f "$ROOT/install-fails" ] && { echo "error: could not compile wasm-bindgen-cli"; exit 101; }
  while [ "$1" != --root ]; do shift; done
  mkdir -p "$2/bin"
  cat > "$2/bin/wasm-bindgen" <<'SH'
#!/bin/sh
PATH=/usr/bin:/bin
[ "$1" = --version ] && { echo "wasm-bindgen 0.2.130"; exit; }
while [ "$1" != --out-dir ]; do shift; done
echo glue > "$2/$4.js"; echo wasm > "$2/$4_bg.wasm"
SH
  chmod +x "$2/bin/wasm-bindgen"
elif [ "$1" = build ]; then
  echo "RUSTC_BOOTSTRAP=$RUSTC_BOOTSTRAP LINKER=$CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER RUSTFLAGS=$RUSTFLAGS" >> "$ROOT/cargo-environment"
  [ -f "$ROOT/build-fails" ] && { echo "error[E0308]: mismatched types"; exit 101; }
  [ -f "$ROOT/build-waits" ] && { touch "$ROOT/build-waiting"; sleep 60; }
  mkdir -p "$CARGO_TARGET_DIR/wasm32-unknown-unknown/wasm"
  echo wasm > "$CARGO_TARGET_DIR/wasm32-unknown-unknown/wasm/otolith.wasm"
fi
`;
