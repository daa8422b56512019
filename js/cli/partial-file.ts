import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { OtolithError } from "../node.js";

/**
 * Writes a file whole or not at all: beside its place first, then renamed. A cancelled or failed write leaves nothing behind.
 * @throws {OtolithError} `invalid-input` where the path cannot be written
 */
export async function writeWhole(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(partial, bytes, { signal });
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {}); // where its folder could not be made there is nothing to remove
    signal.throwIfAborted();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OtolithError("invalid-input", `${path} cannot be written: ${why}`, { details: { path }, cause });
  }
}
