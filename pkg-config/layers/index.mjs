// The layers of npm test, in the order they run: the cheapest proof of a defect first.
import { needPrograms } from "../browsers.mjs";
import { native } from "./native.mjs";
import { runVitest } from "./vitest-layer.mjs";
import { wasm } from "./wasm.mjs";

const minutes = (n) => n * 60_000;

/**
 * @param {object} toolchain how Rust is built here
 * @param {{ allowSystem: boolean, say: (line: string) => void, verbose: boolean }} machine what may be installed
 * @returns {import("../run-layers.mjs").Layer[]}
 */
export const layers = (toolchain, machine) => [
  native(toolchain),
  wasm(toolchain, machine),
  { name: "js", limitMs: minutes(12), run: runVitest("vitest.config.ts", "js") },
  {
    name: "chromium",
    limitMs: minutes(15),
    unavailable: () => needPrograms(["chromium"], machine),
    run: runVitest("pkg-config/vitest.chromium.ts", "chromium"),
  },
  {
    name: "firefox",
    limitMs: minutes(10),
    unavailable: () => needPrograms(["firefox"], machine),
    run: runVitest("pkg-config/vitest.firefox.ts", "firefox"),
  },
  { name: "packaging", limitMs: minutes(12), run: runVitest("pkg-config/vitest.packaging.ts", "packaging") },
];
