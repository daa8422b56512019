import { inUseError, type StorageAdapter } from "./adapter.js";
import { patiently, takeLock } from "./exclusive.js";

const ROOT = "otolith-catalogs";

/** A file of the origin private file system in a worker; TypeScript's DOM library is that of a page and does not know it. */
interface SyncAccessHandle {
  getSize(): number;
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** The origin private file system, in a worker: reads and writes are synchronous there. */
export class OpfsStorage implements StorageAdapter {
  readonly name = "opfs";
  readonly #catalog: string;
  readonly #handles = new Map<string, SyncAccessHandle>();
  #folder: FileSystemDirectoryHandle | undefined;
  #release: (() => void) | undefined;

  constructor(catalog: string) {
    this.#catalog = catalog;
  }

  /** Whether this worker has what it takes. */
  static async isAvailable(): Promise<boolean> {
    const hasHandles = "FileSystemFileHandle" in globalThis && "createSyncAccessHandle" in FileSystemFileHandle.prototype;
    if (!hasHandles || !navigator.locks || !navigator.storage?.getDirectory) return false;
    // Private windows of some browsers have the function, and it rejects.
    return navigator.storage.getDirectory().then(
      () => true,
      () => false,
    );
  }

  async open(): Promise<void> {
    this.#release = await takeLock(this.#catalog);
    const root = await navigator.storage.getDirectory();
    const catalogs = await root.getDirectoryHandle(ROOT, { create: true });
    this.#folder = await catalogs.getDirectoryHandle(folderName(this.#catalog), { create: true });
  }

  async length(file: string): Promise<number | undefined> {
    const handle = await this.#handle(file, false);
    return handle?.getSize();
  }

  async read(file: string, offset: number, length: number): Promise<Uint8Array> {
    const handle = await this.#handle(file, false);
    const bytes = new Uint8Array(length);
    const read = handle?.read(bytes, { at: offset }) ?? 0;
    return bytes.subarray(0, read);
  }

  async write(file: string, offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const handle = await this.#handle(file, true);
    const written = handle?.write(bytes, { at: offset }) ?? 0;
    // In a private window Chromium gives an error's number for a full quota, as an unsigned one: 4 294 967 288.
    if (written !== bytes.byteLength) throw new DOMException("not all could be written", "QuotaExceededError");
    handle?.truncate(offset + bytes.byteLength);
  }

  async flush(file: string): Promise<void> {
    (await this.#handle(file, false))?.flush();
  }

  async remove(file: string): Promise<void> {
    this.#handles.get(file)?.close();
    this.#handles.delete(file);
    try {
      await this.#opened().removeEntry(file);
    } catch (thrown) {
      if (!isNamed(thrown, "NotFoundError")) throw thrown;
    }
  }

  close(): void {
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
    this.#release?.();
  }

  async #handle(file: string, create: boolean): Promise<SyncAccessHandle | undefined> {
    const held = this.#handles.get(file);
    if (held) return held;
    try {
      const found = await this.#opened().getFileHandle(file, { create });
      const entry = found as FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccessHandle> };
      const handle = await patiently(() => entry.createSyncAccessHandle(), isInUse);
      this.#handles.set(file, handle);
      return handle;
    } catch (thrown) {
      if (!create && isNamed(thrown, "NotFoundError")) return undefined;
      if (isInUse(thrown)) throw inUseError(this.#catalog, "another tab or worker", thrown);
      throw thrown;
    }
  }

  #opened(): FileSystemDirectoryHandle {
    if (!this.#folder) throw new Error("the storage is not open");
    return this.#folder;
  }
}

/** A name that any file system takes. */
function folderName(catalog: string): string {
  return encodeURIComponent(catalog).replaceAll("*", "%2A").replace(/^\./, "%2E");
}

function isInUse(thrown: unknown): boolean {
  return isNamed(thrown, "NoModificationAllowedError") || isNamed(thrown, "InvalidStateError");
}

function isNamed(thrown: unknown, name: string): boolean {
  return thrown instanceof DOMException && thrown.name === name;
}
