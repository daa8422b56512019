import { afterEach, describe, expect, it, vi } from "vitest";
import { chooseStorage } from "../../../js/storage/choose.js";

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A worker's scope with locks and an IndexedDB that refuses to open a database, and with what `navigator.storage` estimates. */
function scope(refusal: DOMException, estimate: { quota: number; usage: number }): void {
  const open = () => {
    const request = { error: refusal, onerror: () => {} };
    queueMicrotask(() => request.onerror());
    return request;
  };
  vi.stubGlobal("indexedDB", { open });
  const locks = { request: async (_name: string, _options: unknown, held: () => Promise<void>) => held() };
  vi.stubGlobal("navigator", { locks, storage: { estimate: async () => estimate } });
}

describe("a storage that cannot be opened", () => {
  it("for want of room is an error that says so, and never memory in its place", async () => {
    scope(new DOMException("no room", "QuotaExceededError"), { quota: 1000, usage: 1200 });
    for (const wanted of ["indexeddb", "auto"] as const)
      await expect(chooseStorage(wanted, "songs")).rejects.toMatchObject({
        code: "storage",
        message: "the storage is full: more bytes are needed for catalogue songs, fewer are free: remove tracks or files, and try again",
        details: { needed: 0, free: null },
      });
  });

  it("since it is forbidden is as good as none", async () => {
    scope(new DOMException("not here", "SecurityError"), { quota: 0, usage: 0 });
    expect(await chooseStorage("auto", "songs")).toBeUndefined();
    await expect(chooseStorage("indexeddb", "songs")).rejects.toMatchObject({ code: "unsupported-environment" });
  });
});
