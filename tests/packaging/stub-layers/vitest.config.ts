import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["tests/packaging/stub-layers/*.stub.ts"], expect: { requireAssertions: true } } });
