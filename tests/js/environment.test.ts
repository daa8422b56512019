import { describe, expect, it } from "vitest";
import { detectEnvironment, missingFrom } from "../../js/environment.js";

const Worker = class {} as unknown as typeof globalThis.Worker;

describe("environment", () => {
  it("this runtime has WebAssembly with SIMD", () => {
    expect(detectEnvironment({ WebAssembly, Worker })).toMatchObject({ wasm: true, simd: true, workers: true });
  });

  it("what is missing is named: nothing, workers, SIMD, WebAssembly", () => {
    const withoutSimd = { ...WebAssembly, validate: () => false } as unknown as typeof WebAssembly;
    expect(missingFrom(detectEnvironment({ WebAssembly, Worker }))).toEqual([]);
    expect(missingFrom(detectEnvironment({ WebAssembly }))).toEqual(["Web Workers"]);
    expect(missingFrom(detectEnvironment({ WebAssembly: withoutSimd, Worker }))[0]).toMatch(/^WebAssembly SIMD/);
    expect(missingFrom(detectEnvironment({}))).toEqual(["WebAssembly", "Web Workers"]);
  });

  it("the SIMD probe fails for a reason: without the vector type the same module is valid everywhere", () => {
    const probes: Uint8Array[] = [];
    const spy = { validate: (bytes: Uint8Array) => probes.push(bytes) > 0 } as unknown as typeof WebAssembly;
    detectEnvironment({ WebAssembly: spy });
    const probe = probes[0] ?? new Uint8Array();
    const vector = 0x7b;
    expect([...probe].filter((byte) => byte === vector)).toHaveLength(1);
    expect(WebAssembly.validate(Uint8Array.from(probe, (byte) => (byte === vector ? 0x7f : byte)))).toBe(true);
    expect(WebAssembly.validate(Uint8Array.from(probe, (byte) => (byte === vector ? 0x7a : byte)))).toBe(false);
  });

  it("a browser that does not tell its processors counts as one", () => {
    expect(detectEnvironment({ WebAssembly, Worker }).hardwareConcurrency).toBe(1);
    expect(detectEnvironment({ navigator: { hardwareConcurrency: 8 } as Navigator }).hardwareConcurrency).toBe(8);
  });
});
