import { describe, expect, it } from "vitest";
import { FallbackModelCache, MemoryModelCache, type ModelCache } from "../../js/model-cache.js";

const bytes = (value: number) => new Uint8Array([value]).buffer;

/** A cache with room for so many files. */
class SmallCache extends MemoryModelCache {
  constructor(private room: number) {
    super();
  }

  override async put(name: string, digest: string, content: ArrayBuffer): Promise<void> {
    if (this.room === 0) throw new DOMException("the quota is used up", "QuotaExceededError");
    this.room -= 1;
    await super.put(name, digest, content);
  }
}

function fallback(...caches: ModelCache[]) {
  const warnings: string[] = [];
  const named = caches.map((cache, index) => ({ name: `cache ${index}`, cache }));
  return { warnings, cache: new FallbackModelCache(named, (message) => warnings.push(message)) };
}

describe("a model cache that is full", () => {
  it("is told once, and what it keeps is still read", async () => {
    const first = new SmallCache(1);
    const { cache, warnings } = fallback(first, new MemoryModelCache());
    for (const name of ["a", "b", "c"]) await cache.put(name, "digest", bytes(name.charCodeAt(0)));
    expect(warnings).toEqual(["models cannot be kept in cache 0 (QuotaExceededError: the quota is used up): using cache 1"]);
    for (const name of ["a", "b", "c"]) expect(await cache.get(name, "digest")).toEqual(bytes(name.charCodeAt(0)));
    expect(await first.get("b", "digest")).toBeUndefined();
    expect(await cache.get("a", "another")).toBeUndefined();
  });

  it("lets go of a file wherever it is", async () => {
    const { cache } = fallback(new SmallCache(1), new MemoryModelCache());
    for (const name of ["a", "b"]) await cache.put(name, "digest", bytes(1));
    for (const name of ["a", "b"]) {
      await cache.delete(name, "digest");
      expect(await cache.get(name, "digest")).toBeUndefined();
    }
  });

  it("is an error where there is no other", async () => {
    const { cache, warnings } = fallback(new SmallCache(0), new SmallCache(0));
    await expect(cache.put("a", "digest", bytes(1))).rejects.toThrow("the quota is used up");
    expect(warnings).toHaveLength(1);
  });
});
