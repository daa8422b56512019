import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { inPage, serveEngine, song } from "../engine-page.js";
import { launchChromium } from "../launch.js";

let browser: Browser;
let server: Awaited<ReturnType<typeof serveEngine>>;
let context: BrowserContext;
const spec = song(8);

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  server = await serveEngine();
  context = await browser.newContext();
});
afterEach(async () => {
  await context.close();
  await server.close();
});

async function visit(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.url);
  return page;
}

/** Runs `body` with an engine, the print of a song and a way to open the catalogue. */
const using = (storage: string, body: string) => `
  const engine = await otolith.createEngine({ workers: 1 });
  const open = (options) => engine.openCatalog({ name: "kept", storage: "${storage}", ...options });
  const print = await engine.fingerprint(sound(input));
  const failure = (promise) => promise.then(() => null, ({ code, message, details }) => ({ code, message, details }));
  ${body}`;

for (const storage of ["opfs", "indexeddb"])
  describe(`a catalogue in ${storage}`, () => {
    it("is there on the next page, from memory or from its files", async () => {
      const first = await visit();
      await inPage(
        first,
        using(
          storage,
          `const catalog = await open();
           for (const id of ["a", "b", "c"]) await catalog.enrol(print, { id, metadata: { id } });
           await catalog.compact();
           await catalog.remove("b");
           await engine.dispose();`,
        ),
        spec,
      );
      await first.close();
      const second = await visit();
      const seen = await inPage<{ storage: string; ids: string[]; hits: string[]; same: boolean; stored: number }>(
        second,
        using(
          storage,
          `let catalog = await open();
           const [ids, hits, stats] = [await catalog.ids(), await catalog.match(print), await catalog.stats()];
           await catalog.close();
           catalog = await open({ residentBytes: 0 });
           const same = JSON.stringify(await catalog.match(print)) === JSON.stringify(hits);
           await engine.dispose();
           return { storage: stats.storage, ids, hits: hits.map(({ metadata }) => metadata.id), same, stored: stats.storedBytes };`,
        ),
        spec,
      );
      expect(seen).toMatchObject({ storage, ids: ["a", "c"], hits: ["a", "c"], same: true });
      expect(seen.stored).toBeGreaterThan(1000);
    });

    it("a second tab is refused while the first has it, and a reload finds it", async () => {
      const first = await visit();
      await inPage(first, using(storage, `await (await open()).enrol(print, { id: "a" });`), spec);
      const second = await visit();
      const refused = await inPage<{ code: string; message: string }>(second, using(storage, `return failure(open());`), spec);
      expect(refused).toMatchObject({ code: "storage", message: expect.stringContaining("open in another tab") });
      await first.reload();
      const ids = await inPage<string[]>(first, using(storage, `return (await open()).ids();`), spec);
      expect(ids).toEqual(["a"]);
    });

    it("a page that goes away while it writes leaves the tracks before or after", async () => {
      const ids = new Set(["a"]);
      const first = await visit();
      await inPage(first, using(storage, `await (await open()).enrol(print, { id: "a" });`), spec);
      await first.close();
      for (const [round, wait] of [0, 1, 3, 8, 20].entries()) {
        const page = await visit();
        await inPage(
          page,
          using(
            storage,
            `const catalog = await open();
             void (async () => { for (let n = 0; n < 50; n++) await catalog.enrol(print, { id: "${round} " + n }); })();
             await new Promise((resolve) => setTimeout(resolve, ${wait}));`,
          ),
          spec,
        );
        await page.close();
        const next = await visit();
        const found = await inPage<{ ids: string[]; hit: string; overdue: string | null }>(
          next,
          using(
            storage,
            `const catalog = await open();
             const [hit] = await catalog.match(print, { top: 100 });
             return { ids: await catalog.ids(), hit: hit.id, overdue: (await catalog.stats()).overdue };`,
          ),
          spec,
        );
        await next.close();
        expect([...ids].filter((id) => !found.ids.includes(id))).toEqual([]);
        // No gap: what was enrolled before the last one is there too.
        const own = found.ids.filter((id) => id.startsWith(`${round} `)).length;
        for (let n = 0; n < own; n++) expect(found.ids).toContain(`${round} ${n}`);
        for (const id of found.ids) ids.add(id);
        expect(found).toMatchObject({ hit: expect.any(String), overdue: null });
      }
    });
  });

describe("a catalogue with storage auto", () => {
  it("is in the origin private file system, and gone when that is cleared", async () => {
    const page = await visit();
    expect(
      await inPage(
        page,
        using("auto", `const c = await open(); await c.enrol(print, { id: "a" }); await c.close(); return c.storage;`),
        spec,
      ),
    ).toBe("opfs");
    const session = await context.newCDPSession(page);
    await session.send("Storage.clearDataForOrigin", { origin: new URL(server.url).origin, storageTypes: "all" });
    expect(await inPage(page, using("auto", `return (await open()).ids();`), spec)).toEqual([]);
  });
});
