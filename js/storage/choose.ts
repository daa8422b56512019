import { OtolithError } from "../errors.js";
import { type StorageAdapter, storageError } from "./adapter.js";
import { IndexedDbStorage } from "./indexed-db.js";
import { OpfsStorage } from "./opfs.js";

/** Storages that a worker reaches by itself. */
export type LocalStorage = "auto" | "opfs" | "indexeddb" | "memory";

const KINDS = { opfs: OpfsStorage, indexeddb: IndexedDbStorage } as const;

/**
 * Opens the storage of a catalogue in this worker; undefined is memory. `auto` takes the first of OPFS, IndexedDB and memory that there
 * is; a storage that is there but cannot be had is an error and never another one, or a catalogue would seem to be empty.
 */
export async function chooseStorage(wanted: LocalStorage, catalog: string): Promise<StorageAdapter | undefined> {
  if (wanted === "memory") return undefined;
  const kinds = wanted === "auto" ? (["opfs", "indexeddb"] as const) : [wanted];
  for (const kind of kinds) {
    if (!(await KINDS[kind].isAvailable())) continue;
    const storage = new KINDS[kind](catalog);
    await storage.open().catch(async (thrown: unknown) => {
      throw await storageError(thrown, { kind: "open", file: `catalogue ${catalog}` });
    });
    return storage;
  }
  if (wanted === "auto") return undefined;
  const what = wanted === "opfs" ? "the origin private file system" : "IndexedDB with locks";
  throw new OtolithError("unsupported-environment", `${what} is missing in workers here: use storage "auto"`, {
    details: { missing: [wanted] },
  });
}
