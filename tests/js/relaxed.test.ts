// The loops of `src/dsp/relaxed.wat`, as neural.wasm takes them up where relaxed SIMD is known, against sums in float64.
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { hasRelaxedSimd } from "./relaxed-simd.js";

/** Node 20 has them behind a switch. */
const flags = hasRelaxedSimd() ? [] : ["--experimental-wasm-relaxed-simd"];
const glue = new URL("../../.tools/wasm/neural/neural.js", import.meta.url);
const program = new URL("./relaxed-loops.mjs", import.meta.url);

it("neural.wasm takes up loops that give the sums, and write nothing beside them", () => {
  const said = execFileSync(process.execPath, [...flags, program.pathname, glue.pathname], { encoding: "utf8" });
  const { taken, cases } = JSON.parse(said) as { taken: string[]; cases: { name: string; error: number; outside: boolean }[] };
  expect(taken.sort()).toEqual(["multiply", "raise", "weigh"]);
  expect(cases.length).toBe(11);
  for (const { name, error, outside } of cases) {
    expect(error, name).toBeLessThan(2e-6);
    expect(outside, `${name} wrote beside its rows`).toBe(false);
  }
});
