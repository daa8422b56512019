// Layer `js`: the TypeScript package under Node, without a browser. `otolith` is the built package, as a user gets it.
import { defineConfig } from "vitest/config";
import { alias } from "./pkg-config/vitest-alias.ts";

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["tests/js/**/*.test.ts"],
    environment: "node",
    expect: { requireAssertions: true },
    sequence: { shuffle: true },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
