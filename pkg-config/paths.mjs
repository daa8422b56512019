// Where things lie. Every script takes its folders from here, so that a run from any working directory does the same.
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** Everything that set-up makes and that is neither source nor product: git-ignored, safe to delete. */
export const toolsDir = join(root, ".tools");
export const logDir = join(toolsDir, "log");
export const stampDir = join(toolsDir, "stamps");
export const dist = join(root, "dist");
export const wasmDir = join(toolsDir, "wasm");
/** Cargo's folder for wasm: apart from native builds, so that neither evicts nor locks the other. */
export const targetDir = process.env.CARGO_TARGET_DIR ? resolve(process.env.CARGO_TARGET_DIR) : join(root, "target");
