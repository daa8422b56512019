// Layer `chromium`: the page and the package in the system's Chromium.
import { defineConfig } from "vitest/config";
import { alias } from "./vitest-alias.ts";

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  resolve: { alias },
  test: {
    include: ["tests/browser/chromium/**/*.test.ts"],
    globalSetup: ["tests/browser/peers.ts"],
    environment: "node",
    expect: { requireAssertions: true },
    sequence: { shuffle: true },
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 1,
  },
});
