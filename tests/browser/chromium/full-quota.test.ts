// An origin whose quota is used up, for real: Chromium is told a small one over its DevTools protocol.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fixtureModel } from "../../js/fixture-models.js";
import { inPage, serveEngine, song } from "../engine-page.js";
import { launchChromium, launchChromiumProfile } from "../launch.js";

const MB = 2 ** 20;
let server: Awaited<ReturnType<typeof serveEngine>>;
let browser: Browser | undefined;
let context: BrowserContext;
let profile: string | undefined;

beforeEach(async () => {
  server = await serveEngine();
});
afterEach(async () => {
  await context.close();
  await browser?.close();
  if (profile) rmSync(profile, { recursive: true });
  browser = profile = undefined;
  await server.close();
});

/** Where the storage of a page is: in memory, or on the disk. */
const windows = {
  "a private window": async (flags: string[] = []) => {
    browser = await launchChromium(flags);
    context = await browser.newContext();
  },
  "a window": async () => {
    profile = mkdtempSync(join(tmpdir(), "otolith-profile-"));
    context = await launchChromiumProfile(profile);
  },
};

async function visit(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.url);
  return page;
}

async function setQuota(session: CDPSession, quotaSize: number): Promise<void> {
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(server.url).origin, quotaSize });
}

/** In the page: an open catalogue, five prints of 35 kB of sounds that differ, and a way to enrol until there is no room. */
const catalogIn = (storage: string) => `
  const engine = await otolith.createEngine({ workers: 1 });
  const noise = (seed) => {
    let state = seed;
    const next = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
    return { channels: [Float32Array.from({ length: 120 * 8000 }, next)], sampleRate: 8000 };
  };
  const prints = await Promise.all([1, 7919, 104729, 1299709, 15485863].map((seed) => engine.fingerprint(noise(seed))));
  const failure = (promise) => promise.then(() => null, ({ code, message, details }) => ({ code, message, details }));
  const catalog = await engine.openCatalog({ name: "full", storage: "${storage}" });
  const fill = async (round) => {
    for (let n = 0; n < 500; n++) {
      const refused = await failure(catalog.enrol(prints[n % 5], { id: round + " " + String(n).padStart(3, "0") }));
      if (refused) return refused;
    }
  };
  /** Of each print, which one its best match was enrolled with. */
  const best = async () => {
    const found = [];
    for (const print of prints) found.push(Number((await catalog.match(print))[0]?.id.slice(-3)) % 5);
    return found;
  };
  const exported = async () => sha256(await new Response(catalog.export()).arrayBuffer());`;

interface Refusal {
  code: string;
  message: string;
  details: { needed: number; free: number | null };
}

for (const [where, open] of Object.entries(windows))
  for (const storage of ["opfs", "indexeddb"])
    describe(`a catalogue in ${storage} of ${where}, with the quota used up`, () => {
      // A file that is open in OPFS on the disk holds room in advance, a megabyte and more.
      const quota = storage === "opfs" && where === "a window" ? 12 * MB : 8 * MB;

      it("refuses by a typed error, keeps what it has, and goes on once there is room", async () => {
        await open();
        const page = await visit();
        const session = await context.newCDPSession(page);
        await setQuota(session, quota);
        const full = await inPage<{ refused: Refusal; before: string[]; after: string[]; hits: number[]; exports: string[] }>(
          page,
          `${catalogIn(storage)}
           const refused = await fill("first");
           const before = await catalog.ids();
           const first = await exported();
           await failure(catalog.enrol(prints[0], { id: "more" }));
           await failure(catalog.compact());
           const hits = await best();
           Object.assign(globalThis, { engine, catalog, prints, failure, fill, exported, best });
           return { refused, before, after: await catalog.ids(), hits, exports: [first, await exported()] };`,
        );
        expect(full.refused).toMatchObject({
          code: "storage",
          message: expect.stringMatching(/^the storage is full: \d+ bytes are needed/),
        });
        expect(full.refused.details.needed).toBeGreaterThan(30_000);
        // This Chromium tells pages no true figure.
        expect(full.refused.details.free).toBeNull();
        expect(full.before.length).toBeGreaterThan(20);
        expect(full.after).toEqual(full.before);
        expect(full.exports[1]).toBe(full.exports[0]);
        expect(full.hits).toEqual([0, 1, 2, 3, 4]);

        const removed = await inPage<{ asked: number; failures: Refusal[]; enrolled: number; refused: Refusal }>(
          page,
          `const asked = (await catalog.ids()).filter((_, place) => place % 10 !== 0);
           const failures = [];
           for (const id of asked) failures.push(await failure(catalog.remove(id)));
           const left = await catalog.ids();
           const refused = await fill("second");
           const enrolled = (await catalog.ids()).length - left.length;
           return { asked: asked.length, failures: failures.filter(Boolean), enrolled, refused };`,
        );
        expect(removed.refused).toMatchObject({ code: "storage", message: expect.stringMatching(/^the storage is full/) });
        if (storage === "indexeddb" && where === "a window") {
          // What is deleted there takes room until Chromium's database is tidied, some time later.
          for (const refused of removed.failures) expect(refused).toMatchObject({ code: "storage", details: { free: null } });
        } else {
          expect(removed.failures).toEqual([]);
          expect(removed.enrolled).toBeGreaterThan(removed.asked / 2);
        }

        await setQuota(session, quota + 10 * MB);
        const raised = await inPage<{ refused: Refusal | null; ids: string[] }>(
          page,
          `return { refused: await failure(catalog.enrol(prints[0], { id: "raised 000" })), ids: await catalog.ids() };`,
        );
        expect(raised).toMatchObject({ refused: null, ids: expect.arrayContaining(["raised 000"]) });

        // The page goes away without closing it, and comes back to what was promised.
        await page.close();
        const next = await visit();
        const found = await inPage<{ ids: string[]; hits: number[]; dropped: number; damaged: string[] }>(
          next,
          `${catalogIn(storage)}
           const { recovered } = await catalog.stats();
           return { ids: await catalog.ids(), hits: await best(), dropped: recovered.droppedBytes, damaged: recovered.damagedFiles };`,
        );
        expect(found).toEqual({ ids: raised.ids, hits: [0, 1, 2, 3, 4], dropped: 0, damaged: [] });
      });
    });

describe("the bytes that are free", () => {
  it("are told where the browser tells them", async () => {
    await windows["a private window"](["--disable-features=StaticStorageQuota"]);
    const page = await visit();
    await setQuota(await context.newCDPSession(page), MB);
    const refused = await inPage<Refusal>(page, `${catalogIn("opfs")} return fill("first");`);
    const { needed, free } = refused.details;
    expect(refused.message).toContain(`${needed} bytes are needed for log-1, ${free} are free`);
    expect(free).toBeGreaterThanOrEqual(0);
    expect(free).toBeLessThan(needed);
  });
});

describe("models, with the quota used up", () => {
  const quarters = fixtureModel("mask-quarters").manifest;
  const input = {
    song: song(2),
    models: `/models/${quarters.file}`,
    manifest: quarters,
    options: { model: "quarters", chunk: 6, overlap: 0.5 },
  };
  const downloads = () => server.requests.filter((path) => path === input.models).length;
  const separate = `
    const warnings = [];
    const models = { quarters: { manifest: input.manifest, bytes: new URL(input.models, location.href) } };
    const engine = await otolith.createEngine({ workers: 1, models, logger: { warn: (message) => warnings.push(message) } });
    const { frames } = await engine.separate(sound(input.song), input.options);
    await engine.dispose();
    return { warnings, frames };`;

  it("are used without being kept, told once for each storage, and kept again when there is room", async () => {
    await windows["a private window"]();
    const page = await visit();
    const session = await context.newCDPSession(page);
    await setQuota(session, 1);
    expect(await inPage(page, separate, input)).toEqual({
      frames: 2 * 22_050,
      warnings: [
        expect.stringMatching(/^models cannot be kept in the Cache API \(QuotaExceededError.*\): using IndexedDB$/),
        expect.stringMatching(/^models cannot be kept in IndexedDB \(QuotaExceededError.*\): using memory$/),
      ],
    });
    expect(downloads()).toBe(1);
    await setQuota(session, 10 * MB);
    for (let visits = 0; visits < 2; visits++) expect(await inPage(page, separate, input)).toMatchObject({ warnings: [] });
    expect(downloads()).toBe(2);
    // What was kept before is there in a full storage, too.
    await setQuota(session, 1);
    expect(await inPage(page, separate, input)).toMatchObject({ warnings: [] });
    expect(downloads()).toBe(2);
  });
});
