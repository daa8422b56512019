import { isFull, type StorageAdapter } from "./adapter.js";
import { takeLock } from "./exclusive.js";

const STORE = "blocks";

interface Block {
  readonly offset: number;
  readonly length: number;
}

/** IndexedDB: a file is a list of blocks, each as it was written, under its name and offset. */
export class IndexedDbStorage implements StorageAdapter {
  readonly name = "indexeddb";
  readonly #catalog: string;
  /** Blocks of each file, by offset. */
  readonly #files = new Map<string, Block[]>();
  #database: IDBDatabase | undefined;
  #release: (() => void) | undefined;

  constructor(catalog: string) {
    this.#catalog = catalog;
  }

  /** Whether there is one that can be locked. */
  static async isAvailable(): Promise<boolean> {
    if (!globalThis.indexedDB || !navigator.locks) return false;
    return openDatabase("otolith-probe").then(
      (database) => {
        database.close();
        indexedDB.deleteDatabase("otolith-probe");
        return true;
      },
      // A full one is there, and says so when it is opened.
      isFull,
    );
  }

  async open(): Promise<void> {
    this.#release = await takeLock(this.#catalog);
    this.#database = await openDatabase(`otolith-catalog-${this.#catalog}`);
    await this.#transact("readonly", (store) => {
      store.openCursor().onsuccess = (event) => {
        const cursor = (event.target as IDBRequest<IDBCursorWithValue | null>).result;
        if (!cursor) return;
        const [file, offset] = cursor.key as [string, number];
        const blocks = this.#files.get(file) ?? [];
        blocks.push({ offset, length: (cursor.value as Uint8Array).byteLength });
        this.#files.set(file, blocks);
        cursor.continue();
      };
    });
  }

  length(file: string): number | undefined {
    const last = this.#files.get(file)?.at(-1);
    return last && last.offset + last.length;
  }

  async read(file: string, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const end = offset + length;
    let filled = 0;
    const wanted = (this.#files.get(file) ?? []).filter((block) => block.offset < end && block.offset + block.length > offset);
    await this.#transact("readonly", (store) => {
      for (const block of wanted) {
        store.get([file, block.offset]).onsuccess = (event) => {
          const kept = (event.target as IDBRequest<Uint8Array>).result;
          const from = Math.max(offset, block.offset);
          const piece = kept.subarray(from - block.offset, Math.min(end, block.offset + block.length) - block.offset);
          bytes.set(piece, from - offset);
          filled += piece.byteLength;
        };
      }
    });
    return bytes.subarray(0, filled);
  }

  async write(file: string, offset: number, bytes: Uint8Array): Promise<void> {
    const blocks = this.#files.get(file) ?? [];
    const kept = blocks.filter((block) => block.offset + block.length <= offset);
    const split = blocks.find((block) => block.offset < offset && block.offset + block.length > offset);
    const head = split && (await this.read(file, split.offset, offset - split.offset));
    await this.#transact("readwrite", (store) => {
      store.delete(IDBKeyRange.bound([file, offset], [file, Number.MAX_VALUE]));
      if (split && head) store.put(head, [file, split.offset]);
      // A copy: the view may be of a larger buffer, which would be stored whole.
      if (bytes.byteLength > 0 || blocks.length === 0) store.put(bytes.slice(), [file, offset]);
    });
    if (split) kept.push({ offset: split.offset, length: offset - split.offset });
    if (bytes.byteLength > 0 || blocks.length === 0) kept.push({ offset, length: bytes.byteLength });
    this.#files.set(file, kept);
  }

  /** A write is over when its transaction is, which was asked to reach the disk. */
  flush(): void {}

  async remove(file: string): Promise<void> {
    await this.#transact("readwrite", (store) => store.delete(IDBKeyRange.bound([file, 0], [file, Number.MAX_VALUE])));
    this.#files.delete(file);
  }

  close(): void {
    this.#database?.close();
    this.#release?.();
  }

  #transact(mode: IDBTransactionMode, action: (store: IDBObjectStore) => void): Promise<void> {
    const database = this.#database;
    if (!database) throw new Error("the storage is not open");
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was aborted"));
      action(transaction.objectStore(STORE));
    });
  }
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
