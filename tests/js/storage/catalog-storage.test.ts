import { type Catalog, createEngine, type Engine, type Fingerprint } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { melody } from "../signal.js";
import { type Failure, FaultyAdapter } from "./faulty-adapter.js";

const rate = 22_050;
let engine: Engine;
let prints: Fingerprint[];
let count = 0;

const open = (storage: FaultyAdapter, options = {}) => engine.openCatalog({ name: `stored ${count++}`, storage, ...options });
const exported = async (catalog: Catalog) => new Uint8Array(await new Response(catalog.export()).arrayBuffer());

/** A closed catalogue with tracks, a removed one and a compaction behind it. */
async function stored(): Promise<FaultyAdapter> {
  const adapter = new FaultyAdapter();
  const catalog = await open(adapter);
  for (const [index, print] of prints.entries()) await catalog.enrol(print, { id: `song ${index}`, metadata: { index } });
  await catalog.compact();
  await catalog.enrol(prints[0] as Fingerprint, { id: "again" });
  await catalog.remove("song 1");
  await catalog.close();
  return adapter;
}

beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
  const songs = Array.from({ length: 3 }, (_, index) => ({ channels: [melody(8, rate, index + 40)], sampleRate: rate }));
  prints = await Promise.all(songs.map((song) => engine.fingerprint(song)));
});
afterAll(async () => {
  await engine.dispose();
});

describe("a stored catalogue", () => {
  it("is there when it is opened again", async () => {
    const adapter = await stored();
    expect(adapter.isOpen).toBe(false);
    const catalog = await open(adapter);
    expect(await catalog.ids()).toEqual(["again", "song 0", "song 2"]);
    expect(await catalog.tracks()).toMatchObject([{ id: "again", metadata: null }, { metadata: { index: 0 }, duration: 8 }, {}]);
    expect((await catalog.match(prints[2] as Fingerprint))[0]).toMatchObject({ id: "song 2", metadata: { index: 2 } });
    const stats = await catalog.stats();
    expect(stats).toMatchObject({ storage: "faulty", tracks: 3, tombstones: 0, overdue: null });
    expect(stats.recovered).toEqual({ droppedBytes: 0, damagedFiles: [] });
    expect(stats.storedBytes).toBeGreaterThan(1000);
    await catalog.close();
  });

  it("is the same whether its postings are in memory or in its files", async () => {
    const adapter = await stored();
    const catalog = await open(new FaultyAdapter(adapter.files));
    const paged = await open(new FaultyAdapter(adapter.files), { residentBytes: 0 });
    for (const print of prints) expect(await paged.match(print)).toEqual(await catalog.match(print));
    expect(await exported(paged)).toEqual(await exported(catalog));
    await catalog.close();
    await paged.close();
  });

  it("takes the algorithm and profile that are stored, and refuses others by name", async () => {
    const adapter = new FaultyAdapter();
    const dense = await open(adapter, { profile: "dense" });
    await dense.enrol({ channels: [melody(3, rate, 1)], sampleRate: rate }, { id: "a" });
    await dense.close();
    const found = await open(adapter);
    expect([found.algorithm, found.profile, await found.ids()]).toEqual(["wang", "dense", ["a"]]);
    await found.close();
    await expect(open(adapter, { profile: "large" })).rejects.toMatchObject({
      code: "invalid-input",
      message: expect.stringMatching(/dense.*large/),
    });
    expect(adapter.isOpen).toBe(false);
  });

  it("an adapter that is in use is an error, and one that lacks a function a TypeError", async () => {
    const adapter = await stored();
    adapter.isOpen = true;
    await expect(open(adapter)).rejects.toThrow("somebody else has it open");
    await expect(engine.openCatalog({ name: "x", storage: { length: () => 0 } as never })).rejects.toThrow(
      "options.storage must be an adapter with a function read",
    );
  });
});

describe("a storage that fails", () => {
  const changes: Record<string, (catalog: Catalog) => PromiseLike<unknown>> = {
    enrolment: (catalog) => catalog.enrol(prints[1] as Fingerprint, { id: "new" }),
    replacement: (catalog) => catalog.enrol(prints[1] as Fingerprint, { id: "song 2", replace: true }),
    removal: (catalog) => catalog.remove("song 0"),
    compaction: (catalog) => catalog.compact(),
  };

  for (const [name, change] of Object.entries(changes))
    for (const how of ["clean", "torn", "late"] as Failure[])
      it(`at any write of ${name}, ${how}: the state before, and it goes on`, async () => {
        const { files } = await stored();
        for (let number = 0; ; number++) {
          const adapter = new FaultyAdapter(files);
          const catalog = await open(adapter);
          const [before, opening] = [await exported(catalog), adapter.changes];
          adapter.failing = { change: opening + number, how };
          const error = await change(catalog).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          const after = await exported(catalog);
          if (adapter.changes <= opening + number) {
            expect(error).toBeUndefined();
            await catalog.close();
            break;
          }
          if (error) {
            expect(error).toMatchObject({ code: "storage", details: { needed: expect.any(Number) } });
            expect(after).toEqual(before);
          }
          await catalog.enrol(prints[0] as Fingerprint, { id: "later" });
          const last = await exported(catalog);
          await catalog.close();
          const reopened = await open(adapter);
          expect(await exported(reopened)).toEqual(last);
          await reopened.close();
        }
      });

  it("a read that fails or gives too little is an error, and the next one succeeds", async () => {
    const { files } = await stored();
    for (const fault of [
      () => {
        throw new Error("the cable was pulled");
      },
      () => new Uint8Array(1),
      () => "bytes" as never,
    ]) {
      const adapter = new FaultyAdapter(files);
      const catalog = await open(adapter, { residentBytes: 0 });
      const { read } = FaultyAdapter.prototype;
      adapter.read = fault;
      await expect(catalog.match(prints[2] as Fingerprint)).rejects.toMatchObject({ code: "storage" });
      adapter.read = read;
      expect((await catalog.match(prints[2] as Fingerprint))[0]?.id).toBe("song 2");
      await catalog.close();
    }
  });

  it("an engine that ends at any write leaves what the files say", async () => {
    const { files } = await stored();
    for (let kill = 0; kill < 4; kill++) {
      const adapter = new FaultyAdapter(files);
      const doomed = await createEngine({ workers: 1 });
      const catalog = await doomed.openCatalog({ name: "doomed", storage: adapter });
      const opening = adapter.changes;
      let ended: Promise<void> | undefined;
      adapter.beforeChange = (change) => {
        if (change === opening + kill) ended = doomed.dispose();
      };
      await Promise.allSettled([catalog.enrol(prints[1] as Fingerprint, { id: "new" })]);
      await (ended ?? doomed.dispose());
      const reopened = await open(new FaultyAdapter(adapter.files));
      const ids = await reopened.ids();
      expect(ids.filter((id) => id !== "new")).toEqual(["again", "song 0", "song 2"]);
      await reopened.close();
    }
  });

  it("bits flipped in any file are found, or an older state is told", async () => {
    const { files } = await stored();
    let told = 0;
    for (const [file, content] of files)
      for (let byte = 3; byte < content.byteLength; byte += Math.max(1, content.byteLength >> 4)) {
        const adapter = new FaultyAdapter(files);
        const bytes = adapter.files.get(file) as Uint8Array;
        bytes[byte] = (bytes[byte] ?? 0) ^ 8;
        const catalog = await open(adapter).catch((error: unknown) => error);
        if (catalog instanceof Error) {
          expect(catalog).toMatchObject({ code: "storage", message: expect.stringMatching(/byte \d+/) });
          told += 1;
          continue;
        }
        const opened = catalog as Catalog;
        const { recovered, tracks } = await opened.stats();
        if (recovered.droppedBytes === 0) expect([file, byte, tracks]).toEqual([file, byte, 3]);
        if (recovered.droppedBytes > 0 || recovered.damagedFiles.length > 0) told += 1;
        await opened.close();
      }
    expect(told).toBeGreaterThan(20);
  });
});
