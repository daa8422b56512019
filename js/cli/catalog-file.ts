import { stat } from "node:fs/promises";
import type { Catalog, FingerprintAlgorithm } from "../node.js";
import type { Call } from "./command.js";
import { inputBytes } from "./input-file.js";

/** Whether there is a catalogue file at `path` yet. */
export const catalogExists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Opens an empty catalogue, filled from the file at `path` unless that is undefined. */
export async function openCatalogFile(call: Call, path: string | undefined, algorithm?: FingerprintAlgorithm): Promise<Catalog> {
  const bytes = path === undefined ? undefined : await inputBytes(path);
  const engine = await call.engine();
  const catalog = await engine.openCatalog(algorithm && { algorithm });
  if (bytes) await catalog.import(bytes);
  return catalog;
}
