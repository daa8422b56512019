import { readdir, stat } from "node:fs/promises";
import { type Catalog, type FingerprintAlgorithm, folderStorage, OtolithError } from "../node.js";
import type { Call } from "./command.js";
import { embedderOption } from "./custom-model.js";

/** Opens the catalogue in the folder `path`, of whatever algorithm, or makes one of `algorithm` there. Neural ones go by `--model`. */
export async function openCatalogFolder(call: Call, path: string, algorithm?: FingerprintAlgorithm): Promise<Catalog> {
  const found = await stat(path).catch(() => undefined);
  if (found && !found.isDirectory()) throw notACatalog(path, "is a file");
  if (found && (await readdir(path)).length > 0 && !(await hasCatalog(path))) throw notACatalog(path, "is a folder of other files");
  const { name: model, models } = await embedderOption(call);
  const engine = await call.engine(models);
  const options = { ...(algorithm && { algorithm }), ...(model && { model }) };
  return engine.openCatalog({ name: path.slice(-200), storage: folderStorage(path), ...options });
}

/** Opens a catalogue that is there. @throws {OtolithError} `invalid-input` where it is not */
export async function openExistingCatalog(call: Call, path: string): Promise<Catalog> {
  if (!(await isFolder(path))) throw notACatalog(path, "is no folder");
  if (!(await hasCatalog(path))) throw notACatalog(path, "has no catalogue in it");
  return openCatalogFolder(call, path);
}

/** Whether there is a folder at `path`. */
export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

async function hasCatalog(path: string): Promise<boolean> {
  return (await readdir(path)).some((file) => /^(lock|log-\d+|manifest-[01])$/.test(file));
}

function notACatalog(path: string, why: string): OtolithError {
  return new OtolithError("invalid-input", `${path} ${why}: name the folder of a catalogue, which enrol makes`, { details: { path } });
}
