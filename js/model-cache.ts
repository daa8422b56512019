/** Keeps model files between visits, by name and digest. What it gives back is checked like a download. @internal */
export interface ModelCache {
  get(name: string, digest: string): Promise<ArrayBuffer | undefined>;
  /** Keeps a file, and forgets other digests of that name. */
  put(name: string, digest: string, bytes: ArrayBuffer): Promise<void>;
  delete(name: string, digest: string): Promise<void>;
}

/** For as long as the page or process lives. */
export class MemoryModelCache implements ModelCache {
  readonly #files = new Map<string, { readonly digest: string; readonly bytes: ArrayBuffer }>();

  async get(name: string, digest: string): Promise<ArrayBuffer | undefined> {
    const kept = this.#files.get(name);
    return kept && kept.digest === digest ? kept.bytes.slice(0) : undefined;
  }

  async put(name: string, digest: string, bytes: ArrayBuffer): Promise<void> {
    this.#files.set(name, { digest, bytes: bytes.slice(0) });
  }

  async delete(name: string, digest: string): Promise<void> {
    if (this.#files.get(name)?.digest === digest) this.#files.delete(name);
  }
}

const STORE_NAME = "otolith-models";

/** In the Cache API, under addresses that no server answers. */
export class CacheStorageModelCache implements ModelCache {
  readonly #caches: CacheStorage;

  constructor(caches: CacheStorage) {
    this.#caches = caches;
  }

  async get(name: string, digest: string): Promise<ArrayBuffer | undefined> {
    const response = await (await this.#caches.open(STORE_NAME)).match(address(name, digest));
    return response?.arrayBuffer();
  }

  async put(name: string, digest: string, bytes: ArrayBuffer): Promise<void> {
    const cache = await this.#caches.open(STORE_NAME);
    const kept = address(name, digest);
    // First, for the room that they take.
    for (const { url } of await cache.keys()) if (url.startsWith(address(name, "")) && url !== kept) await cache.delete(url);
    await cache.put(kept, new Response(bytes, { headers: { "content-type": "application/octet-stream" } }));
  }

  async delete(name: string, digest: string): Promise<void> {
    await (await this.#caches.open(STORE_NAME)).delete(address(name, digest));
  }
}

/** `.invalid` is reserved (RFC 2606): the key can never be a real request. */
function address(name: string, digest: string): string {
  return `https://models.otolith.invalid/${encodeURIComponent(name)}/${digest}`;
}

/** In IndexedDB, for pages on plain http, which have no Cache API. */
export class IndexedDbModelCache implements ModelCache {
  readonly #factory: IDBFactory;
  #database: Promise<IDBDatabase> | undefined;

  constructor(factory: IDBFactory) {
    this.#factory = factory;
  }

  async get(name: string, digest: string): Promise<ArrayBuffer | undefined> {
    const kept: unknown = await this.#request("readonly", (store) => store.get(name));
    return isKept(kept) && kept.digest === digest ? kept.bytes : undefined;
  }

  async put(name: string, digest: string, bytes: ArrayBuffer): Promise<void> {
    await this.#request("readwrite", (store) => store.put({ digest, bytes }, name));
  }

  async delete(name: string, digest: string): Promise<void> {
    if (await this.get(name, digest)) await this.#request("readwrite", (store) => store.delete(name));
  }

  async #request<T>(mode: IDBTransactionMode, action: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    this.#database ??= this.#open();
    const transaction = (await this.#database).transaction(STORE_NAME, mode);
    const request = action(transaction.objectStore(STORE_NAME));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const request = this.#factory.open(STORE_NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE_NAME);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }
}

function isKept(value: unknown): value is { digest: string; bytes: ArrayBuffer } {
  return typeof value === "object" && value !== null && "digest" in value && "bytes" in value && value.bytes instanceof ArrayBuffer;
}

/** A cache and what it is called in a warning. @internal */
export interface NamedCache {
  readonly name: string;
  readonly cache: ModelCache;
}

/**
 * Keeps files in the first cache; once that fails (quota, private mode, storage forbidden) it warns and goes on with the next. What a
 * full one keeps is still read.
 */
export class FallbackModelCache implements ModelCache {
  readonly #caches: NamedCache[];
  readonly #warn: (message: string) => void;
  readonly #full: ModelCache[] = [];

  /** `caches` in order of preference; the last is expected not to fail. */
  constructor(caches: NamedCache[], warn: (message: string) => void) {
    this.#caches = caches;
    this.#warn = warn;
  }

  get(name: string, digest: string): Promise<ArrayBuffer | undefined> {
    return this.#everywhere((cache) => cache.get(name, digest));
  }

  put(name: string, digest: string, bytes: ArrayBuffer): Promise<void> {
    return this.#try((cache) => cache.put(name, digest, bytes));
  }

  delete(name: string, digest: string): Promise<void> {
    return this.#everywhere((cache) => cache.delete(name, digest));
  }

  /** Until something is found. */
  async #everywhere<T>(action: (cache: ModelCache) => Promise<T>): Promise<T> {
    for (const cache of this.#full) {
      const found = await action(cache).catch(() => undefined);
      if (found) return found;
    }
    return this.#try(action);
  }

  async #try<T>(action: (cache: ModelCache) => Promise<T>): Promise<T> {
    for (;;) {
      // There always is one: the last is never left.
      const [current, next] = this.#caches as [NamedCache, NamedCache?];
      try {
        return await action(current.cache);
      } catch (thrown) {
        if (!next) throw thrown;
        // Another call may have moved on meanwhile.
        if (this.#caches[0] !== current) continue;
        this.#caches.shift();
        this.#full.push(current.cache);
        this.#warn(`models cannot be kept in ${current.name} (${String(thrown)}): using ${next.name}`);
      }
    }
  }
}
