// Layers that end in every way a runner can end; the test picks one by name.
import { runVitest } from "../../../pkg-config/layers/vitest-layer.mjs";

const end = (status, timedOut = false) => ({ runner: "stub", status, timedOut, tail: "what the stub printed" });
const one = (status, more = {}) => ({ name: `a test that ${status}`, status, ...more });
const stub = (name, cases, ending, more = {}) => ({ name, limitMs: 1000, run: async () => ({ cases, ends: [ending] }), ...more });

export const layers = [
  stub("passes", [one("passed"), one("passed"), one("skipped", { reason: "no microphone here" })], end(0)),
  stub("fails", [one("passed"), one("failed", { message: "1 is not 2", repeat: "npx stub -t one" })], end(1)),
  stub("crashes", [one("passed")], end(139)),
  stub("hangs", [one("passed")], end(null, true)),
  stub("empty", [], end(0)),
  stub("throws", [], end(0), {
    run: async () => {
      throw new Error("the runner's program is missing");
    },
  }),
  stub("unavailable", [], end(0), { unavailable: async () => "firefox not found: apt install firefox-esr" }),
  { name: "vitest", limitMs: 60_000, run: runVitest("tests/packaging/stub-layers/vitest.config.ts", "stub") },
  { name: "slow", limitMs: 1500, run: runVitest("tests/packaging/stub-layers/hanging.config.ts", "stub-slow") },
];
