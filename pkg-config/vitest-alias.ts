// Names that tests use for what the build makes.
import { fileURLToPath } from "node:url";

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

export const alias = {
  "@wasm/core": at(".tools/wasm/core/core.js"),
  "@wasm/neural": at(".tools/wasm/neural/neural.js"),
};
