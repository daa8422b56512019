import { readFile } from "node:fs/promises";
import { type Catalog, createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { melody, noise } from "./signal.js";

const rate = 22_050;
const exported = async (of: Catalog) => new Uint8Array(await new Response(of.export()).arrayBuffer());
const songs = Array.from({ length: 4 }, (_, index) => melody(20, rate, index + 11));
const song = (index: number) => ({ channels: [songs[index] ?? new Float32Array()], sampleRate: rate });
const clip = (index: number, from: number, to: number) => ({
  channels: [(songs[index] ?? new Float32Array()).slice(from * rate, to * rate)],
  sampleRate: rate,
});
let engine: Engine;
let catalog: Catalog;
let count = 0;

beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(async () => {
  await engine.dispose();
});
beforeEach(async () => {
  catalog = await engine.openCatalog({ name: `test ${count++}` });
});

describe("fingerprint", () => {
  it("has what it is and bytes that are the caller's own", async () => {
    const print = await engine.fingerprint(song(0));
    expect([print.algorithm, print.profile, print.duration, print.warnings]).toEqual(["wang", "default", 20, []]);
    expect(print.hashCount).toBeGreaterThan(50);
    print.bytes().fill(0);
    expect(print.bytes().some((byte) => byte !== 0)).toBe(true);
  });

  it("is the same bytes every time, in any worker", async () => {
    const prints = await Promise.all(Array.from({ length: 4 }, () => engine.fingerprint(song(1))));
    for (const print of prints) expect(print.bytes()).toEqual(prints[0]?.bytes());
  });

  it("silence gives an empty one that matches nothing", async () => {
    const silence = { channels: [new Float32Array(rate * 2)], sampleRate: rate };
    expect((await engine.fingerprint(silence)).hashCount).toBe(0);
    await catalog.enrol(song(0), { id: "a" });
    expect(await catalog.match(silence)).toEqual([]);
  });

  it("anti-phase stereo warns that its mean cancels", async () => {
    const left = songs[0] ?? new Float32Array();
    const print = await engine.fingerprint({ channels: [left, left.map((sample) => -sample)], sampleRate: rate });
    expect(print.warnings).toEqual(["channels-cancel"]);
  });

  it("too short a sound and middle-side of mono are refused", async () => {
    await expect(engine.fingerprint(clip(0, 0, 0.3))).rejects.toMatchObject({ code: "too-short" });
    await expect(engine.fingerprint(song(0), { mix: "mid-side" })).rejects.toMatchObject({ code: "invalid-input" });
  });

  it("inspect tells what is in its bytes, and in a catalogue's", async () => {
    const print = await engine.fingerprint(song(0));
    const inside = await engine.inspect(print.bytes(), { hashes: 2 });
    expect(inside).toMatchObject({ hashCount: print.hashCount, duration: 20 });
    expect(inside).toMatchObject({ layers: [{ hashes: { length: 2 } }] });
    await catalog.enrol(print, { id: "a" });
    expect(JSON.stringify(await engine.inspect(await exported(catalog)))).toContain('"tracks":1');
    await expect(engine.inspect(noise(100).buffer)).rejects.toMatchObject({ name: "OtolithError" });
    await expect(engine.inspect("file" as never)).rejects.toBeInstanceOf(TypeError);
  });
});

describe("catalog", () => {
  it("finds which song a clip is from, and where", async () => {
    for (const index of songs.keys()) await catalog.enrol(song(index), { id: `song ${index}`, metadata: { index } });
    for (const [index, from] of [
      [0, 2],
      [1, 7.5],
      [2, 12],
      [3, 14.25],
    ] as const) {
      const [hit, ...others] = await catalog.match(clip(index, from, from + 5), { top: 3 });
      expect(hit).toMatchObject({ id: `song ${index}`, metadata: { index }, timeScale: 1, pitchScale: 1 });
      expect(Math.abs((hit?.offset ?? -9) - from)).toBeLessThanOrEqual(0.02);
      expect(hit?.votes).toBeGreaterThan(3);
      for (const other of others) expect(other.confidence).toBeLessThanOrEqual(hit?.confidence ?? 0);
    }
    expect(await catalog.match({ channels: [melody(5, rate, 99)], sampleRate: rate }, { minConfidence: 0.9 })).toEqual([]);
  });

  it("takes prints as well as sounds", async () => {
    await catalog.enrol(await engine.fingerprint(song(2)), { id: "print" });
    expect((await catalog.match(await engine.fingerprint(clip(2, 3, 8))))[0]?.id).toBe("print");
  });

  it("removes, replaces, lists and counts", async () => {
    await catalog.enrol(song(0), { id: "a" });
    await catalog.enrol(song(1), { id: "b" });
    expect([await catalog.ids(), await catalog.has("a"), await catalog.has("c")]).toEqual([["a", "b"], true, false]);
    await expect(catalog.enrol(song(2), { id: "a" })).rejects.toMatchObject({ code: "invalid-input" });
    await catalog.enrol(song(2), { id: "a", replace: true });
    expect((await catalog.match(clip(2, 3, 8)))[0]?.id).toBe("a");
    expect([await catalog.remove("a"), await catalog.remove("a")]).toEqual([true, false]);
    expect(await catalog.match(clip(2, 3, 8))).toEqual([]);
    expect(await catalog.stats()).toMatchObject({ algorithm: "wang", profile: "default", tracks: 1, seconds: 20 });
  });

  it("goes out as a stream of pieces and comes back the same", async () => {
    await catalog.enrol(song(0), { id: "a", metadata: [1, "two"] });
    const bytes = await exported(catalog);
    const second = await engine.openCatalog({ name: "copy" });
    for (const file of [bytes, bytes.buffer, new Blob([bytes]), catalog.export()]) {
      await second.import(file);
      expect(await exported(second)).toEqual(bytes);
    }
    expect(await second.match(clip(0, 4, 9))).toEqual(await catalog.match(clip(0, 4, 9)));
    await second.close();
  });

  it("an export that is left half read lets the calls behind it go on", async () => {
    for (const [index] of songs.entries()) await catalog.enrol(song(index), { id: `song ${index}` });
    const reader = catalog.export().getReader();
    const { value } = await reader.read();
    expect(value?.byteLength).toBeLessThanOrEqual(65_536);
    const ids = catalog.ids();
    await reader.cancel();
    expect((await ids).length).toBe(songs.length);
    expect((await exported(catalog)).byteLength).toBeGreaterThan(1000);
  });

  it("an import that breaks off leaves it as it was", async () => {
    await catalog.enrol(song(0), { id: "a" });
    const bytes = await exported(catalog);
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes.slice(0, 100)),
      pull: () => Promise.reject(new Error("the line went dead")),
    });
    await expect(catalog.import(stream)).rejects.toThrow("the line went dead");
    expect(await exported(catalog)).toEqual(bytes);
  });

  it("a damaged file, or one of another profile, is refused and leaves it as it was", async () => {
    await catalog.enrol(song(0), { id: "a" });
    const bytes = await exported(catalog);
    const damaged = bytes.slice();
    damaged[40] = (damaged[40] ?? 0) ^ 1;
    await expect(catalog.import(damaged)).rejects.toMatchObject({ code: "invalid-input", message: expect.stringContaining("byte 40") });
    await expect(catalog.import(bytes.slice(0, 100))).rejects.toMatchObject({ code: "invalid-input" });
    await expect(catalog.import("file" as never)).rejects.toBeInstanceOf(TypeError);
    const dense = await engine.openCatalog({ name: "dense", profile: "dense" });
    await expect(dense.import(bytes)).rejects.toMatchObject({ code: "invalid-input" });
    expect(await catalog.ids()).toEqual(["a"]);
    await dense.close();
  });

  it("takes fingerprints in the format of the Rust crate audiofp, and counts what has no place", async () => {
    // One item of its format: bins 100 to 120, 7 frames apart, at frame 9; and one that spans too many frames.
    const blob = new Uint8Array(18 + 16);
    const view = new DataView(blob.buffer);
    blob.set(new TextEncoder().encode("AUDIOFP\0"));
    view.setUint8(8, 1);
    view.setUint32(10, 2, true);
    view.setFloat32(14, 62.5, true);
    for (const [index, step] of [7, 99].entries()) {
      view.setUint32(18 + 8 * index, ((100 << 23) | (120 << 14) | step) >>> 0, true);
      view.setUint32(22 + 8 * index, 9, true);
    }
    expect(await catalog.enrolAudiofp(blob, { id: "old", metadata: { from: "audiofp" } })).toBe(1);
    expect(await catalog.tracks()).toEqual([{ id: "old", metadata: { from: "audiofp" }, duration: 0.256, hashCount: 1 }]);
    blob[8] = 2;
    await expect(catalog.enrolAudiofp(blob, { id: "new" })).rejects.toMatchObject({ code: "invalid-input" });
  });

  it("takes Haitsma fingerprints that audiofp wrote into a catalogue on their grid, with all their frames", async () => {
    const own = await engine.openCatalog({ name: `test ${count++}`, algorithm: "haitsma", profile: "5k" });
    const blob = new Uint8Array(await readFile("tests/data/audiofp/haitsma.bin"));
    expect(await own.enrolAudiofp(blob, { id: "theirs" })).toBe(0);
    const [track] = await own.tracks();
    expect(track?.duration).toBeGreaterThan(19.5);
    // Of its 1530 frames, counted from 1, the even ones that do not repeat the one before.
    expect(track?.hashCount).toBe(546);
    await expect(catalog.enrolAudiofp(blob, { id: "theirs" })).rejects.toMatchObject({ code: "invalid-input" });
    await own.close();
  });

  it("ids, metadata and options are checked", async () => {
    expect(() => catalog.enrol(song(0), {} as never)).toThrow("options.id must be a string that is not empty, got undefined");
    expect(() => catalog.enrol(song(0), { id: "a", metadata: 1n })).toThrow("options.metadata must be something that JSON holds");
    expect(() => catalog.match(song(0), { top: 0 })).toThrow("options.top must be a whole number in 1..100, got 0");
    await expect(catalog.enrol(song(0), { id: "x".repeat(257) })).rejects.toMatchObject({ name: "OtolithError" });
    await expect(catalog.enrol(song(0), { id: "a", metadata: "x".repeat(4096) })).rejects.toMatchObject({ name: "OtolithError" });
    await expect(catalog.remove(3 as never)).rejects.toBeInstanceOf(TypeError);
    await expect(engine.openCatalog({ storage: "disk" as never })).rejects.toThrow(
      'options.storage must be "auto" or "opfs" or "indexeddb" or "memory", got "disk"',
    );
    await expect(engine.openCatalog({ name: "x".repeat(201) })).rejects.toBeInstanceOf(TypeError);
    await expect(engine.openCatalog({ name: "opfs", storage: "opfs" })).rejects.toMatchObject({ code: "unsupported-environment" });
  });

  it("a name that is open gives the same catalogue, with other options an error, and after closing a new one", async () => {
    const first = await engine.openCatalog({ name: "same" });
    expect([first.name, first.storage]).toEqual(["same", "memory"]);
    expect(await engine.openCatalog({ name: "same" })).toBe(first);
    await expect(engine.openCatalog({ name: "same", profile: "large" })).rejects.toMatchObject({ code: "invalid-input" });
    await first.close();
    await expect(first.stats()).rejects.toMatchObject({ code: "disposed" });
    await expect(first.match(clip(0, 0, 5))).rejects.toMatchObject({ code: "disposed" });
    const second = await engine.openCatalog({ name: "same" });
    expect(second).not.toBe(first);
    await second.close();
  });

  it("a cancelled enrolment leaves no track", async () => {
    const job = catalog.enrol(song(0), { id: "a", onProgress: () => job.cancel("changed my mind") });
    await expect(job).rejects.toBe("changed my mind");
    expect(await catalog.ids()).toEqual([]);
  });
});
