import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { createEngine, type Engine, type SeparationOptions, type SoundSize } from "otolith";
import { afterEach, describe, expect, it, vi } from "vitest";
import { CostBook } from "../../js/estimate.js";
import { fixtureModel } from "./fixture-models.js";
import { noise } from "./signal.js";

const names = ["mask-quarters", "waveform-quarters", "mdx-quarter"] as const;
const models = Object.fromEntries(names.map((name) => [name, fixtureModel(name)]));
let engine: Engine;

afterEach(async () => {
  await engine.dispose();
});

/** A fresh engine: linear memory never shrinks. */
async function fresh(settings: NonNullable<Parameters<typeof createEngine>[0]> = {}) {
  engine = await createEngine({ workers: 1, models, ...settings });
  return engine;
}

const samples = ({ duration, sampleRate, channels }: SoundSize) => ({
  sampleRate,
  channels: Array.from({ length: channels }, (_, index) => noise(Math.round(duration * sampleRate), index + 1)),
});

/** Share of the estimate that was really taken, of the worker at home and of the worst other. */
async function shares(size: SoundSize, input: Parameters<Engine["separate"]>[0], options: SeparationOptions) {
  const estimate = await engine.estimate(size, options);
  const { peakMemory, chunks } = await engine.separate(input, options);
  expect(chunks).toBe(estimate.chunks);
  return {
    home: peakMemory.home / estimate.memory.home,
    inference: Math.max(...peakMemory.inference) / estimate.memory.inference,
  };
}

describe("the estimate", () => {
  it.each([
    [0.01, 44_100, 1, {}],
    [10, 44_100, 2, {}],
    [40, 44_100, 1, {}],
    [40, 44_100, 8, { collect: false }],
    [40, 48_000, 6, {}],
    [40, 8000, 2, {}],
    [40, 96_000, 2, {}],
    [180, 44_100, 2, { collect: false }],
    [90, 48_000, 2, { collect: false }],
    [40, 48_000, 2, { sampleRate: 44100 }],
    [30, 44_100, 2, { chunk: 6, overlap: 0.5 }],
    [70, 44_100, 2, { chunk: 30 }],
    [40, 44_100, 2, { model: "waveform-quarters" }],
    [20, 44_100, 2, { model: "mdx-quarter" }],
  ] as [number, number, number, SeparationOptions][])(
    "of %f s at %i Hz in %i channels with %o: at most 1.15 times as much is taken, and as many chunks",
    async (duration, sampleRate, channels, options) => {
      await fresh();
      const size = { duration, sampleRate, channels };
      const taken = await shares(size, samples(size), { model: "mask-quarters", ...options });
      expect(taken.home).toBeLessThanOrEqual(1.15);
      expect(taken.inference).toBeLessThanOrEqual(1.15);
      // An estimate far above what is taken would refuse what could be done.
      expect(taken.home).toBeGreaterThan(0.25);
    },
  );

  it("counts an encoded file", async () => {
    await fresh();
    const size = { duration: 60, sampleRate: 44_100, channels: 2 };
    const wav = await engine.encodeWav(samples(size));
    const taken = await shares({ ...size, bytes: wav.length }, wav, { model: "mask-quarters" });
    expect(taken.home).toBeLessThanOrEqual(1.15);
    await engine.dispose();
    await fresh();
    const mp3 = readFileSync(fileURLToPath(new URL("../data/audio/mono-44k-128k.mp3", import.meta.url)));
    const { channels, sampleRate } = await engine.decode(mp3);
    const small = { duration: (channels[0]?.length ?? 0) / sampleRate, sampleRate, channels: 1, bytes: mp3.length };
    expect((await shares(small, mp3, { model: "mask-quarters" })).home).toBeLessThanOrEqual(1.15);
  });

  it("sums to its parts, for all workers that have a chunk", async () => {
    await fresh({ workers: 3 });
    const size = { duration: 30, sampleRate: 44_100, channels: 2 };
    const { bytes, memory, chunks } = await engine.estimate(size, { model: "mask-quarters" });
    expect(chunks).toBe(2);
    // Samples in hand are heard where they are.
    expect(memory).toMatchObject({ workers: 2, stems: 2 * 2 * 4 * 30 * 44_100, held: 2 * 4 * 30 * 44_100 });
    expect(bytes).toBe(memory.home + memory.held + 2 * memory.inference + memory.stems);
    expect((await engine.estimate(size, { model: "mask-quarters", collect: false })).memory.stems).toBe(0);
  });

  it("is the same for any length beyond limits.heldBytes, where stems are not collected", async () => {
    const MIB = 1024 ** 2;
    await fresh({ limits: { heldBytes: 64 * MIB } });
    const options = { model: "mask-quarters", collect: false };
    const of = async (minutes: number, bytes: number) =>
      (await engine.estimate({ duration: 60 * minutes, sampleRate: 44_100, channels: 2, bytes }, options)).memory;
    expect(await of(180, MIB)).toEqual(await of(20, MIB));
    expect((await of(180, MIB)).held).toBe(65 * MIB);
    // A short one holds what it has: 2 channels of 44 100 samples of 4 bytes a second.
    expect((await of(1, MIB)).held).toBe(MIB + 60 * 2 * 4 * 44_100);
  });

  it("knows shipped models' work before, and any model's once a job has run it", async () => {
    await fresh();
    const size = { duration: 30, sampleRate: 44_100, channels: 2 };
    const shipped = await engine.estimate(size);
    expect([shipped.measured, shipped.seconds]).toEqual([false, expect.any(Number)]);
    expect(shipped.seconds).toBeGreaterThan(0);
    const longer = await engine.estimate({ ...size, duration: 300 });
    expect(longer.seconds).toBeGreaterThan(4 * (shipped.seconds ?? Number.POSITIVE_INFINITY));
    const own = { model: "mask-quarters" };
    expect(await engine.estimate(size, own)).toMatchObject({ seconds: null, measured: false });
    await engine.separate(samples(size), own);
    expect(await engine.estimate(size, own)).toMatchObject({ seconds: expect.any(Number), measured: true });
  });

  it("goes by the pace of the chunks that were run, for any length and number of workers", async () => {
    const { postMessage } = Worker.prototype;
    const now = performance.now.bind(performance);
    // Each chunk takes a thousand seconds, by the only clock that is looked at.
    let ahead = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now() + ahead);
    Worker.prototype.postMessage = function (this: Worker, message: { method?: string }, ...rest: []) {
      if (message.method === "runChunk") ahead += 1_000_000;
      postMessage.call(this, message, ...rest);
    } as typeof postMessage;
    try {
      await fresh();
      const own = { model: "mask-quarters" };
      const size = { duration: 30, sampleRate: 44_100, channels: 2 };
      await engine.separate(samples(size), own);
      for (const [duration, rounds] of [
        [30, 2],
        [180, 11],
      ] as const) {
        const { seconds, measured } = await engine.estimate({ ...size, duration }, own);
        expect(measured).toBe(true);
        // Hearing the sound and the real time of the chunk are a few seconds beside it.
        expect((seconds ?? 0) / (1000 * rounds)).toBeCloseTo(1, 1);
      }
      // Of a short sound as much less as its chunk is shorter: 5 blocks of 65 536 samples for 18 s.
      const { seconds } = await engine.estimate({ ...size, duration: 7 }, own);
      expect((seconds ?? 0) / 1000).toBeCloseTo((5 * 65_536) / (18 * 44_100), 1);
    } finally {
      Worker.prototype.postMessage = postMessage;
      vi.restoreAllMocks();
    }
  });

  it("remembers the median of a model's chunks and the most of its memory", () => {
    const costs = new CostBook();
    costs.enter("digest", { seconds: [9, 1, 2], samples: 100, memory: [5, 7, 6] });
    expect(costs.of("digest")).toEqual({ secondsPerSample: 0.02, memoryBytes: 7, chunkSize: 100 });
    costs.enter("digest", { seconds: [], samples: 100, memory: [] });
    expect(costs.of("digest")?.secondsPerSample).toBe(0.02);
    expect(costs.of("another")).toBeUndefined();
  });

  it("says what is still to be fetched, and fetches none of it", async () => {
    const { manifest } = fixtureModel("mask-quarters");
    await fresh({ models: { away: { manifest, bytes: new URL("http://127.0.0.1:1/model.onnx") } } });
    const size = { duration: 1, sampleRate: 44_100, channels: 1 };
    expect((await engine.estimate(size, { model: "away" })).download).toBe(manifest.bytes);
    expect((await engine.estimate(size)).download).toBe(0);
    expect(engine.usage()).toEqual([]);
  });

  it("takes samples and AudioBuffers as they are, and nothing that would have to be decoded", async () => {
    await fresh();
    const size = { duration: 2, sampleRate: 8000, channels: 2 };
    const options = { model: "mask-quarters" };
    const expected = await engine.estimate(size, options);
    expect(await engine.estimate(samples(size), options)).toEqual(expected);
    const buffer = { duration: 2, sampleRate: 8000, numberOfChannels: 2, getChannelData: () => new Float32Array() };
    expect(await engine.estimate(buffer, options)).toEqual(expected);
    for (const [sound, message] of [
      [new Uint8Array(4), /sound must be .*an encoded file tells neither/],
      ["a.wav", /got "a\.wav"/],
      [{ duration: -1, sampleRate: 8000, channels: 1 }, /sound\.duration must be in 0\.\.1000000 seconds, got -1/],
      [{ duration: 1, sampleRate: 8000 }, /sound\.channels must be given/],
      [{ duration: 1, sampleRate: 8000, channels: 9 }, /sound\.channels must be a whole number in 1\.\.8, got 9/],
    ] as [never, RegExp][])
      await expect(engine.estimate(sound, options)).rejects.toThrow(message);
  });

  it("is refused with what the tier does not include, and where there is no model", async () => {
    await fresh({ tier: "free" });
    const size = { duration: 2, sampleRate: 8000, channels: 2 };
    await expect(engine.estimate(size, { stems: 5 })).rejects.toMatchObject({ code: "not-authorized", status: 403 });
    await expect(engine.estimate(size, { model: "nobody" })).rejects.toMatchObject({ code: "model-load" });
    await expect(engine.estimate(size, { stems: 4 as 5 })).rejects.toThrow(TypeError);
  });
});
