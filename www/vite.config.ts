import { defineConfig } from "vite";

export default defineConfig({
  // Relative, so that the built page can lie in any folder of a server.
  base: "./",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // Every browser that runs SIMD128 wasm in workers loads module scripts by itself.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  worker: { format: "es" },
});
