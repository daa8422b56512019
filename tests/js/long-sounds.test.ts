// Memory that does not grow with the sound, and results that do not depend on how it was held.
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createEngine, type Engine, type SeparationResult } from "otolith";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { melody, noise, sine, wav16 } from "./signal.js";

const quarters = fixtureModel("mask-quarters");
const options = { model: "quarters", chunk: 6, overlap: 0.5 } as const;
const MIB = 1024 ** 2;
let folder: string;
let engine: Engine;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "otolith-long-"));
});
afterEach(async () => {
  await engine.dispose();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function start(settings: NonNullable<Parameters<typeof createEngine>[0]> = {}) {
  engine = await createEngine({ workers: 2, models: { quarters }, ...settings });
  return engine;
}

/** A mono WAV file on disk, silent but for a second of sound at each of `places`, in seconds. It takes no more room than those. */
function quietFile(name: string, seconds: number, sampleRate: number, places: readonly number[]): URL {
  const path = join(folder, name);
  const data = 2 * seconds * sampleRate;
  const second = new Uint8Array(wav16([sine(sampleRate, 441, sampleRate)], sampleRate));
  const view = new DataView(second.buffer);
  view.setUint32(4, 36 + data, true);
  view.setUint32(40, data, true);
  writeFileSync(path, second.subarray(0, 44));
  truncateSync(path, 44 + data);
  const file = openSync(path, "r+");
  for (const place of places) writeSync(file, second, 44, 2 * sampleRate, 44 + 2 * place * sampleRate);
  closeSync(file);
  return pathToFileURL(path);
}

/** Reads all segments; gives the loudest frame of vocals in each second in which there is sound. */
async function read(job: ReturnType<Engine["separate"]>, pause = false) {
  const loud = new Map<number, number>();
  let frames = 0;
  for await (const { stems, sampleRate, ...segment } of job) {
    const vocals = stems.vocals?.channels[0] ?? new Float32Array();
    // A period of the tone is 100 samples at 44.1 kHz: every 7th finds its peak.
    for (let n = 0; n < vocals.length; n += 7) {
      const level = Math.abs(vocals[n] ?? 0);
      if (level < 0.01) continue;
      const second = Math.floor((frames + n) / sampleRate);
      loud.set(second, Math.max(loud.get(second) ?? 0, level));
    }
    frames += segment.frames;
    // A reader that lets everything else have its turn first.
    if (pause) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { loud, frames, result: await job };
}

/** Checks that two results have the same bytes. */
function expectEqual(a: SeparationResult, b: SeparationResult) {
  expect(Object.keys(a.stems)).toEqual(Object.keys(b.stems));
  for (const [name, { channels }] of Object.entries(a.stems))
    for (const [index, channel] of channels.entries())
      expect(Buffer.from(channel.buffer).equals(Buffer.from(b.stems[name]?.channels[index]?.buffer ?? new ArrayBuffer(0)))).toBe(true);
}

describe("a long file", () => {
  it("of 3 hours takes the memory of one of 3 minutes, and sound at its end is where it was", async () => {
    // A model at a low rate, so that three hours go by quickly.
    const rate = 8000;
    const slow = { manifest: { ...quarters.manifest, sample_rate: rate }, bytes: quarters.bytes };
    const settings = { models: { quarters: slow }, limits: { heldBytes: 4 * MIB } };
    await start(settings);
    const short = await read(engine.separate(quietFile("short.wav", 180, rate, [0, 90, 179]), { ...options, collect: false }));
    await engine.dispose();
    await start(settings);
    const long = await read(engine.separate(quietFile("long.wav", 10_800, rate, [0, 5400, 10_799]), { ...options, collect: false }));
    expect([short.frames, long.frames]).toEqual([180 * rate, 10_800 * rate]);
    expect([[...short.loud.keys()], [...long.loud.keys()]]).toEqual([
      [0, 90, 179],
      [0, 5400, 10_799],
    ]);
    // A quarter of an amplitude of 0.5, less what the ends of the tone lose.
    for (const peak of long.loud.values()) expect(peak).toBeCloseTo(0.125, 2);
    const { peakMemory, chunks, silentChunks } = long.result;
    expect(chunks).toBeGreaterThan(1900);
    expect(chunks - silentChunks).toBeLessThanOrEqual(6);
    expect(peakMemory.home / short.result.peakMemory.home).toBeLessThanOrEqual(1.05);
    // The 3 hours would be 330 MiB of samples.
    expect(peakMemory.home).toBeLessThan(16 * MIB);
    expect(peakMemory.held).toBe(0);
  }, 240_000);

  it("is not read ahead of a slow reader", async () => {
    await start();
    const fast = await read(engine.separate(quietFile("slow.wav", 600, 44_100, [0, 300]), { ...options, collect: false }));
    await engine.dispose();
    await start();
    const slow = await read(engine.separate(quietFile("slow.wav", 600, 44_100, [0, 300]), { ...options, collect: false }), true);
    expect(slow.frames).toBe(fast.frames);
    expect(slow.result.peakMemory.home / fast.result.peakMemory.home).toBeLessThanOrEqual(1.05);
  }, 120_000);

  it("gives the same bytes held or decoded twice, on disk, as a Blob and as bytes, with 1, 2 and 4 workers", async () => {
    for (const rate of [44_100, 48_000]) {
      const bytes = wav16([melody(20, rate, 3), melody(20, rate, 4)], rate);
      const path = join(folder, `song-${rate}.wav`);
      writeFileSync(path, new Uint8Array(bytes));
      const pages = 2 * 4 * 20 * rate;
      const results: SeparationResult[] = [];
      for (const [workers, heldBytes, input] of [
        [2, pages, bytes],
        [2, pages - 1, bytes],
        [1, 0, pathToFileURL(path)],
        [4, 2 ** 30, pathToFileURL(path)],
        [4, 0, new Blob([bytes])],
      ] as const) {
        await start({ workers, limits: { heldBytes } });
        results.push(await engine.separate(input, options));
        await engine.dispose();
      }
      const [first] = results;
      if (!first) throw new Error("nothing was separated");
      for (const result of results) expectEqual(result, first);
      // The encoded file in hand, and the pages where they fit.
      expect(results.map(({ peakMemory }) => peakMemory.held)).toEqual([
        bytes.byteLength + pages,
        bytes.byteLength,
        0,
        pages,
        bytes.byteLength,
      ]);
      // Samples, too: 16 bits are as exact in 32.
      const { channels, sampleRate } = await (await start()).decode(bytes.slice(0));
      expectEqual(await engine.separate({ channels, sampleRate }, options), first);
    }
  }, 120_000);

  it("beyond durationSeconds is refused, beyond decodedBytes is not, and the whole beyond resultBytes is", async () => {
    const url = quietFile("limits.wav", 60, 8000, [1]);
    await start({ limits: { durationSeconds: 59 } });
    await expect(engine.separate(url, options)).rejects.toMatchObject({ code: "limit", details: { limit: "durationSeconds" } });
    await engine.dispose();
    await start({ limits: { decodedBytes: 1_000_000, resultBytes: 2_000_000 } });
    expect((await read(engine.separate(url, { ...options, collect: false }))).frames).toBe(480_000);
    await expect(engine.separate(url, options)).rejects.toMatchObject({ code: "limit", details: { limit: "resultBytes" } });
    const samples = { channels: [noise(480_000)], sampleRate: 8000 };
    expect((await read(engine.separate(samples, { ...options, collect: false }))).frames).toBe(480_000);
  }, 60_000);

  it("that changes while it is read is an error and no shorter sound", async () => {
    await start({ limits: { heldBytes: 0 } });
    const url = quietFile("changing.wav", 120, 44_100, [0]);
    const job = engine.separate(url, { ...options, collect: false });
    const segments = job[Symbol.asyncIterator]();
    await segments.next();
    truncateSync(url, 1_000_000);
    await expect(
      (async () => {
        for (let next = await segments.next(); !next.done; next = await segments.next());
      })(),
    ).rejects.toMatchObject({ code: "invalid-input", message: expect.stringContaining("it has become shorter") });
  }, 60_000);
});
