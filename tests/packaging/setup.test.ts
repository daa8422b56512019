// Set-up on machines made of stub programs: what it finds, what it says, what it leaves behind.
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FakeMachine } from "./fake-machine.js";

const isRoot = process.getuid?.() === 0;
const cargoBuilds = (calls: readonly string[]) => calls.filter((call) => call.startsWith("cargo build"));

/** A machine with all that is needed. */
function wholeMachine(): FakeMachine {
  const machine = new FakeMachine();
  machine.rust({ hasTarget: true });
  return machine;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("ways of building wasm32", () => {
  test("a precompiled standard library: plain cargo", () => {
    const { status, output, calls } = wholeMachine().build();
    expect(status, output).toBe(0);
    expect(output).toContain("precompiled standard library");
    expect(cargoBuilds(calls)).toHaveLength(2);
    expect(cargoBuilds(calls).join()).not.toContain("build-std");
  });

  test("rustup adds the missing target", () => {
    const machine = new FakeMachine();
    machine.rust();
    machine.program("rustup", 'mkdir -p "$SYSROOT/wasm32"; touch "$SYSROOT/wasm32/libstd-1.rlib"');
    const { status, output, calls } = machine.build();
    expect(status, output).toBe(0);
    expect(calls).toContain("rustup target add wasm32-unknown-unknown");
    expect(output).toContain("precompiled standard library");
  });

  test("rustup fails: the sources of the standard library are used, with the sysroot's linker", () => {
    const machine = new FakeMachine();
    machine.rust({ hasSources: true });
    machine.program("rustup", "exit 1");
    const { status, output, calls } = machine.build();
    expect(status, output).toBe(0);
    expect(output).toContain("rustup could not add");
    expect(cargoBuilds(calls)[0]).toContain("-Zbuild-std=std,panic_abort");
    expect(machine.read("cargo-environment")).toContain("RUSTC_BOOTSTRAP=1 LINKER=rust-lld");
  });

  test("without rust-lld the newest wasm-ld of PATH links", () => {
    const machine = new FakeMachine();
    machine.rust({ hasSources: true, hasLinker: false });
    for (const version of [14, 22, 9]) machine.program(`wasm-ld-${version}`, "");
    expect(machine.build().status).toBe(0);
    expect(machine.read("cargo-environment")).toContain("LINKER=wasm-ld-22");
  });

  test("no Rust: status 2 and the line that helps", () => {
    const { status, output } = new FakeMachine().build(["--no-system"]);
    expect(status).toBe(2);
    expect(output).toContain("Rust >= 1.91 is needed and no rustc was found on PATH");
    expect(output).toContain("apt install rustc-web");
  });

  test("an old Rust: status 2 with the version found", () => {
    const machine = new FakeMachine();
    machine.rust({ version: "1.75.0", hasTarget: true });
    const { status, output } = machine.build(["--no-system"]);
    expect(status).toBe(2);
    expect(output).toContain("Rust >= 1.91 is needed, found rustc 1.75.0");
  });

  test("a Rust without target, sources and rustup: status 2 and both lines that help", () => {
    const machine = new FakeMachine();
    machine.rust();
    const { status, output } = machine.build(["--no-system"]);
    expect(status).toBe(2);
    expect(output).toContain("rustup target add wasm32-unknown-unknown");
  });

  test("no C compiler: status 2 and the package", () => {
    const machine = wholeMachine();
    rmSync(join(machine.folder, "bin/cc"));
    const { status, output } = machine.build(["--no-system"]);
    expect(status).toBe(2);
    expect(output).toContain("apt install build-essential");
  });

  test("with root rights and apt-get the packages are installed after saying so, unless that is forbidden", ({ skip }) => {
    skip(!isRoot, "needs root rights");
    const machine = new FakeMachine();
    machine.rust({ hasLinker: false });
    machine.program(
      "apt-get",
      'mkdir -p "$SYSROOT/lib/rustlib/src/rust/library"; touch "$SYSROOT/lib/rustlib/src/rust/library/Cargo.lock"; cp "$ROOT/bin/cc" "$ROOT/bin/wasm-ld-22"',
    );
    expect(machine.build(["--no-system"]).status).toBe(2);
    const { status, output, calls } = machine.build();
    expect(status, output).toBe(0);
    expect(output).toContain("installing Debian packages to build wasm32-unknown-unknown: rustc-web cargo-web rust-web-src lld-22");
    expect(calls.some((call) => call.includes("install -y --no-install-recommends rustc-web"))).toBe(true);
  });
});

describe("failures", () => {
  test("an old Node: status 2 with the version found", () => {
    const old = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'18.3.0'})";
    const { status, output } = wholeMachine().build([], ["--import", old]);
    expect(status).toBe(2);
    expect(output).toContain("Node >= 20 is needed, found 18.3.0");
  });

  test.each([
    ["npm-fails", "the registry is on fire"],
    ["install-fails", "could not compile wasm-bindgen-cli"],
    ["build-fails", "mismatched types"],
  ])("%s: status 1, the end of the tool's output and where the log is; the next run goes on from there", (switchFile, sentence) => {
    const machine = wholeMachine();
    machine.write(switchFile, "");
    const { status, output } = machine.build();
    expect(status).toBe(1);
    expect(output).toContain(sentence);
    expect(output).toMatch(/full log: .*\.tools\/log\//);
    expect(existsSync(join(machine.folder, "dist"))).toBe(false);
    rmSync(join(machine.folder, switchFile));
    expect(machine.build().status).toBe(0);
  });

  test("an unknown option is refused", () => {
    const { status, output } = wholeMachine().build(["--quik"]);
    expect(status).toBe(2);
    expect(output).toContain("--quik");
  });
});

describe("stamps", () => {
  test("a second run with nothing changed starts no program at all", () => {
    const machine = wholeMachine();
    expect(machine.build().status).toBe(0);
    const again = machine.build();
    expect(again.status).toBe(0);
    expect(again.calls).toEqual([]);
    expect(again.output).toBe("");
  });

  test("a changed TypeScript file rebuilds dist and starts no cargo", () => {
    const machine = wholeMachine();
    machine.build();
    machine.write("js/index.ts", "export const changed = 1;");
    const { calls, output } = machine.build();
    expect(output).toContain("dist: done");
    expect(calls).toEqual([]);
  });

  test("a changed Rust file rebuilds both wasm files and dist, and installs nothing", () => {
    const machine = wholeMachine();
    machine.build();
    machine.write("src/lib.rs", "// changed");
    const { calls, output } = machine.build();
    expect(cargoBuilds(calls)).toHaveLength(2);
    expect(calls.some((call) => call.startsWith("npm") || call.startsWith("cargo install"))).toBe(false);
    expect(output).toContain("dist: done");
  });

  test("a deleted product is made again", () => {
    const machine = wholeMachine();
    machine.build();
    rmSync(join(machine.folder, "dist"), { recursive: true });
    expect(machine.build().output).toContain("dist: done");
    expect(machine.read("dist/index.js")).toBe("// bundled");
  });

  test("flags of the environment are extended by SIMD128, not replaced", () => {
    const machine = wholeMachine();
    expect(machine.build([], [], { RUSTFLAGS: "-C debuginfo=1" }).status).toBe(0);
    expect(machine.read("cargo-environment")).toContain("RUSTFLAGS=-C debuginfo=1 -C target-feature=+simd128");
  });
});

describe("two runs and killed runs", () => {
  test("the second of two runs waits for the first and says so", async () => {
    const machine = wholeMachine();
    machine.write("npm-waits", "");
    const first = machine.start();
    await until(() => existsSync(join(machine.folder, "npm-waiting")));
    const second = machine.start();
    await until(() => second.said().includes("waiting for it"));
    expect(second.said()).toContain(`another set-up (process ${first.pid}) is at work`);
    rmSync(join(machine.folder, "npm-waits"));
    first.kill("SIGKILL"); // its lock is taken over: a dead holder never blocks
    expect(await second.ended).toBe(0);
    expect(machine.read("dist/index.js")).toBe("// bundled");
  });

  test.each([["npm-waits"], ["build-waits"], ["dist-waits"]])(
    "killed in %s: no half-written dist, and the next run succeeds",
    async (switchFile) => {
      const machine = wholeMachine();
      machine.build();
      const before = readdirSync(join(machine.folder, "dist"));
      for (const path of ["package-lock.json", "src/lib.rs", "js/index.ts"]) machine.write(path, "changed");
      writeFileSync(join(machine.folder, switchFile), "");
      const run = machine.start();
      await until(() => existsSync(join(machine.folder, switchFile.replace("waits", "waiting"))));
      run.kill("SIGKILL");
      await run.ended;
      rmSync(join(machine.folder, switchFile));
      expect(readdirSync(join(machine.folder, "dist"))).toEqual(before);
      expect(machine.build().status).toBe(0);
      expect(readdirSync(join(machine.folder, ".tools")).filter((name) => /^dist/.test(name))).toEqual([]);
    },
  );
});
