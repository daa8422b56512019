import { Worker } from "node:worker_threads";
import { createEngine, type Engine, type OtolithError, type Segment, type SeparationResult } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { melody, noise, sine, wav16 } from "./signal.js";

const rate = 44_100;
const quarters = fixtureModel("mask-quarters");
/** Short chunks, so that little sound makes several: 6 s, hop 5.5 s. */
const options = { model: "quarters", chunk: 6, overlap: 0.5, conditioning: false } as const;
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 2, models: { quarters } });
});
afterAll(async () => {
  await engine.dispose();
});

const stereo = (seconds: number, sampleRate = rate) => ({
  channels: [melody(seconds, sampleRate, 5), melody(seconds, sampleRate, 6)],
  sampleRate,
});

/** Largest |a - factor b| in dB of full scale. */
function differenceDb(a: Float32Array | undefined, b: Float32Array | undefined, factor = 1): number {
  if (!a || !b || a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let n = 0; n < a.length; n++) worst = Math.max(worst, Math.abs((a[n] ?? 0) - factor * (b[n] ?? 0)));
  return 20 * Math.log10(worst);
}

/** Largest |mix - sum of stems| in dB of full scale, over all channels. */
function nullDb(mix: readonly Float32Array[], { stems }: SeparationResult): number {
  return Math.max(
    ...mix.map((channel, index) => {
      const sum = new Float32Array(channel.length);
      for (const { channels } of Object.values(stems))
        for (const [n, sample] of (channels[index] ?? []).entries()) sum[n] = (sum[n] ?? 0) + sample;
      return differenceDb(channel, sum);
    }),
  );
}

/** By bytes: to compare millions of samples one by one takes a minute of a busy machine. */
function expectSameBytes(stems: SeparationResult["stems"], others: SeparationResult["stems"] | undefined) {
  const bytes = (given: SeparationResult["stems"]) =>
    Object.entries(given).map(([name, { channels }]) => [name, ...channels.map(({ buffer }) => Buffer.from(buffer))] as const);
  const [a, b] = [bytes(stems), bytes(others ?? {})];
  expect(a.map(([name, ...channels]) => [name, channels.length])).toEqual(b.map(([name, ...channels]) => [name, channels.length]));
  for (const [stem, [, ...channels]] of a.entries())
    for (const [index, channel] of channels.entries()) expect(channel.equals(b[stem]?.[index + 1] as Buffer)).toBe(true);
}

describe("separation", () => {
  it("with masks of a quarter and three quarters gives the scaled mix, whole, in several chunks", async () => {
    const mix = stereo(20);
    const result = await engine.separate(mix, options);
    expect(Object.keys(result.stems)).toEqual(["vocals", "instrumental"]);
    for (const [index, channel] of mix.channels.entries()) {
      expect(differenceDb(result.stems.vocals?.channels[index], channel, 0.25)).toBeLessThan(-100);
      expect(differenceDb(result.stems.instrumental?.channels[index], channel, 0.75)).toBeLessThan(-100);
    }
    expect(nullDb(mix.channels, result)).toBeLessThan(-90);
    // 20 s in chunks of 6 s with 0.5 s shared: 1 + ceil(14 / 5.5).
    expect(result).toMatchObject({
      sampleRate: rate,
      frames: 20 * rate,
      duration: 20,
      chunks: 4,
      silentChunks: 0,
      workers: 2,
      warnings: [],
    });
    expect(result.model).toEqual({ name: "mask-quarters", version: "1.0.0" });
    expect(result.segments.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(result.segments.reduce((sum, { frames }) => sum + frames, 0)).toBe(20 * rate);
    // A chunk of 6 s and the samples in hand, which are heard where they are.
    expect(result.peakMemory.home).toBeGreaterThan(6 * rate * 8);
    expect(result.peakMemory.held).toBe(20 * rate * 8);
    expect(result.peakMemory.inference.length).toBeGreaterThanOrEqual(1);
    expect(result).not.toHaveProperty("metadata");
  });

  it("gives the same bytes with 1, 2 and 4 workers", async () => {
    const mix = stereo(25);
    const results: SeparationResult[] = [];
    for (const workers of [1, 2, 4]) {
      const sized = await createEngine({ workers, models: { quarters } });
      results.push(await sized.separate(mix, { ...options, conditioning: true }));
      await sized.dispose();
    }
    for (const { stems, segments } of results) {
      expect(segments).toEqual(results[0]?.segments);
      expectSameBytes(stems, results[0]?.stems);
    }
  });

  it("keeps rate, length and number of channels: mono, 6 channels, 8 and 96 kHz", async () => {
    for (const [count, sampleRate] of [
      [1, rate],
      [6, 48_000],
      [2, 8000],
      [2, 96_000],
    ] as const) {
      const channels = Array.from({ length: count }, (_, index) => sine(sampleRate * 2 + 7, 300 + 100 * index, sampleRate));
      const { stems, frames, ...result } = await engine.separate({ channels, sampleRate }, options);
      expect([frames, result.sampleRate]).toEqual([sampleRate * 2 + 7, sampleRate]);
      for (const stem of Object.values(stems))
        expect(stem.channels.map(({ length }) => length)).toEqual(Array(Math.min(count, 2)).fill(frames));
      if (count <= 2) expect(nullDb(channels, { stems, frames, ...result })).toBeLessThan(-90);
    }
    const { sampleRate, frames } = await engine.separate(stereo(2, 48_000), { ...options, sampleRate: 44100 });
    expect([sampleRate, frames]).toEqual([44_100, 88_200]);
  });

  it("one sample gives one sample per stem, none is too short", async () => {
    const { stems, frames } = await engine.separate({ channels: [Float32Array.of(0.5)], sampleRate: rate }, options);
    expect([frames, stems.vocals?.channels[0]?.length]).toEqual([1, 1]);
    await expect(engine.separate({ channels: [new Float32Array()], sampleRate: rate }, options)).rejects.toMatchObject({
      code: "too-short",
    });
  });

  it("silence needs no inference and gives zeros", async () => {
    const { stems, chunks, silentChunks, peakMemory } = await engine.separate(
      { channels: [new Float32Array(8 * rate)], sampleRate: rate },
      options,
    );
    expect([chunks, silentChunks, peakMemory.inference]).toEqual([2, 2, []]);
    expect(stems.vocals?.channels[0]?.every((sample) => sample === 0)).toBe(true);
  });

  it("normalize: peak brings whole stems to -1 dBFS, by 24 dB at most, leaves near silence alone, and no segment is changed", async () => {
    const loud = stereo(3);
    const quiet = { ...loud, channels: loud.channels.map((channel) => channel.map((sample) => sample * 0.003)) };
    const peakOf = (channels: readonly Float32Array[]) =>
      Math.max(...channels.map((channel) => channel.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)));
    for (const mix of [loud, quiet]) {
      const plain = await engine.separate(mix, options);
      expect(plain).not.toHaveProperty("normalization");
      const job = engine.separate(mix, { ...options, normalize: "peak" });
      const pieces: Segment[] = [];
      for await (const segment of job) pieces.push(segment);
      const { stems, normalization } = await job;
      for (const [name, { channels }] of Object.entries(plain.stems)) {
        const peak = peakOf(channels);
        const gainDb = peak < 0.001 ? 0 : Math.min(24, 20 * Math.log10(0.891 / peak));
        expect(normalization?.[name]).toBeCloseTo(gainDb, 3);
        for (const [index, channel] of channels.entries()) {
          expect(differenceDb(stems[name]?.channels[index], channel, 10 ** ((normalization?.[name] ?? 0) / 20))).toBeLessThan(-120);
          const first = pieces[0]?.stems[name]?.channels[index];
          expect(differenceDb(first, channel.subarray(0, first?.length))).toBe(Number.NEGATIVE_INFINITY);
        }
      }
    }
    expect(() => engine.separate(loud, { ...options, normalize: "peak", collect: false })).toThrow(
      "options.normalize needs whole stems: leave it out, or options.collect: false",
    );
    expect(() => engine.separate(loud, { ...options, normalize: true as never })).toThrow(
      'options.normalize must be "none" or "peak", got true',
    );
  });

  it("five stems, by a model of five and by the number alone where the page has one", async () => {
    const five = fixtureModel("mask-five");
    const own = await createEngine({ workers: 1, tier: "pro", models: { five }, logger: { warn: () => {} } });
    const mix = stereo(3);
    const result = await own.separate(mix, { model: "five", stems: 5 });
    expect(Object.keys(result.stems)).toEqual(["vocals", "drums", "bass", "instruments", "fx"]);
    expect(nullDb(mix.channels, result)).toBeLessThan(-90);
    expect(() => own.separate(mix, { stems: 3 as 5 })).toThrow("options.stems must be 2 or 5, got 3");
    await expect(own.separate(mix, { model: "five", stems: 2 })).rejects.toThrow("options.stems is 2, but model five gives 5");
    expect(own.usage()).toHaveLength(1);
    await own.dispose();
  });

  it("metadata comes with debug only, and is exactly what is promised", async () => {
    const { metadata } = await engine.separate(stereo(1), { ...options, debug: true });
    expect(metadata).toEqual({
      modelName: "mask-quarters",
      modelVariant: "2-stem",
      weightHash: quarters.manifest.sha256,
      device: "CPU (wasm simd128)",
      deviceType: "cpu",
      chunkSize: expect.any(Number),
      overlapSize: rate / 2,
      executionMode: "cpu_only",
    });
    const pro = await createEngine({ workers: 1, tier: "pro", models: { quarters }, logger: { warn: () => {} } });
    const allowed = await pro.separate(stereo(1), { ...options, debug: true });
    expect(allowed.metadata).toEqual({ ...metadata, executionMode: "gpu_allowed" });
    await pro.dispose();
  });

  it("progress goes through the phases in order, infer counts chunks, and only infer estimates", async () => {
    const seen: { phase: string; done: number; total: number | null; etaMs: number | null }[] = [];
    await engine.separate(wav16([melody(12, rate)], rate), { ...options, onProgress: (progress) => seen.push(progress) });
    const phases = seen.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1]);
    expect(phases.filter((phase) => phase !== "download")).toEqual([
      "decode",
      ...(phases.includes("verify") ? ["verify"] : []),
      "load",
      "infer",
    ]);
    const infer = seen.filter(({ phase }) => phase === "infer");
    expect([infer[0]?.etaMs, infer.at(-1)]).toMatchObject([null, { done: 3, total: 3, etaMs: 0 }]);
    expect(infer.every(({ done }, index) => done >= (infer[index - 1]?.done ?? 0))).toBe(true);
  });

  it("the whole is refused beyond limits.resultBytes, and its segments are not", async () => {
    const strict = await createEngine({ workers: 1, models: { quarters }, limits: { resultBytes: 1000 } });
    await expect(strict.separate(stereo(1), options)).rejects.toMatchObject({ code: "limit", details: { limit: "resultBytes" } });
    let frames = 0;
    for await (const segment of strict.separate(stereo(1), { ...options, collect: false })) frames += segment.frames;
    expect(frames).toBe(rate);
    await strict.dispose();
  });
});

describe("segments", () => {
  it("come in order, tile the file and equal the whole", async () => {
    const job = engine.separate(stereo(20), options);
    const segments: Segment[] = [];
    for await (const segment of job) segments.push(segment);
    const { stems } = await job;
    let at = 0;
    for (const [index, segment] of segments.entries()) {
      expect([segment.index, segment.sampleRate, segment.start]).toEqual([index, rate, expect.closeTo(at / rate, 9)]);
      expect(segment.stems.vocals?.channels[1]).toEqual(stems.vocals?.channels[1]?.slice(at, at + segment.frames));
      at += segment.frames;
    }
    expect(at).toBe(20 * rate);
  });

  it("can be read as a stream, and collect: false leaves the result without stems", async () => {
    const job = engine.separate(stereo(13), { ...options, collect: false });
    const reader = job.readable.getReader();
    let frames = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) frames += next.value.frames;
    expect(frames).toBe(13 * rate);
    expect((await job).stems).toEqual({});
  });

  it("a slow reader holds inference back", async () => {
    const single = await createEngine({ workers: 1, models: { quarters } });
    const job = single.separate(stereo(60), { ...options, collect: false });
    const segments = job[Symbol.asyncIterator]();
    await segments.next();
    // 11 chunks in all; unread segments may number workers + 1 before the next chunk is not begun.
    let last = -1;
    while (job.progress?.done !== last) {
      last = job.progress?.done ?? -1;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(last).toBeLessThanOrEqual(6);
    let count = 1;
    for await (const _ of { [Symbol.asyncIterator]: () => segments }) count += 1;
    expect(count).toBe((await job).segments.length);
    await single.dispose();
  });

  it("leaving the loop cancels the job", async () => {
    const job = engine.separate(stereo(30), options);
    for await (const segment of job) {
      expect(segment.index).toBe(0);
      break;
    }
    await expect(job).rejects.toMatchObject({ name: "AbortError" });
    expect(job.state).toBe("cancelled");
  });

  it("are those that another reader cannot have too", () => {
    const job = engine.separate(stereo(1), options);
    job[Symbol.asyncIterator]();
    expect(() => job[Symbol.asyncIterator]()).toThrow(TypeError);
    job.cancel();
  });
});

describe("cancelling a separation", () => {
  it.each(["decode", "analyze", "verify", "load", "infer"] as const)(
    "in %s rejects with the reason, and the next one works",
    async (phase) => {
      // An engine of its own: model and program are fetched and verified only once.
      const fresh = await createEngine({ workers: 2, models: { quarters } });
      const reason = new Error(`in ${phase}`);
      const seen: string[] = [];
      // Samples are not decoded, but heard.
      const input = phase === "analyze" ? { channels: [melody(20, rate)], sampleRate: rate } : wav16([melody(20, rate)], rate);
      const job = fresh.separate(input, {
        ...options,
        onProgress: (progress) => {
          seen.push(progress.phase);
          if (progress.phase === phase) job.cancel(reason);
        },
      });
      await expect(job).rejects.toBe(reason);
      expect([job.state, seen.at(-1)]).toEqual(["cancelled", phase]);
      expect((await fresh.separate(stereo(1), options)).frames).toBe(rate);
      await fresh.dispose();
    },
  );

  it("while queued runs nothing; a batch goes on after a failure", async () => {
    const bad = new TextEncoder().encode("not a song");
    const items: [number, number | undefined, unknown][] = [];
    for await (const { index, result, error } of engine.separateAll([stereo(1), bad, stereo(2)], options))
      items.push([index, result?.duration, (error as { code?: string } | undefined)?.code]);
    expect(items).toEqual([
      [0, 1, undefined],
      [1, undefined, "unsupported-format"],
      [2, 2, undefined],
    ]);
    const first = engine.separate(stereo(8), options);
    const second = engine.separate(stereo(8), options);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect([first.state, second.state]).toEqual(["running", "queued"]);
    second.cancel("no");
    await expect(second).rejects.toBe("no");
    expect(second.progress).toBeNull();
    expect((await first).duration).toBe(8);
  });

  it("a job beside it gives the same", async () => {
    const both = await createEngine({ workers: 2, models: { quarters }, limits: { concurrentJobs: 2 } });
    const alone = await both.separate(stereo(14), options);
    const victim = both.separate(stereo(60), options);
    const beside = both.separate(stereo(14), options);
    for await (const segment of victim) if (segment.index === 0) break;
    expectSameBytes((await beside).stems, alone.stems);
    await both.dispose();
  });
});

describe("a trap in a worker that runs the network", () => {
  it("fails its job as crashed, and the next job gives what it gave before", async () => {
    const alone = await engine.separate(stereo(14), options);
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (this: Worker, message: { method?: string }, ...rest: []) {
      if (message.method === "runChunk") {
        Worker.prototype.postMessage = postMessage;
        postMessage.call(this, { id: 2 ** 40, method: "testPanic", params: { message: "injected fault" } });
      }
      postMessage.call(this, message, ...rest);
    } as typeof postMessage;
    const struck = engine.separate(stereo(14), options);
    await expect(struck).rejects.toMatchObject({ code: "crashed", details: { panic: expect.stringContaining("injected fault") } });
    expectSameBytes((await engine.separate(stereo(14), options)).stems, alone.stems);
  });
});

describe("bad sounds for a separation", () => {
  it("NaN, nine channels, text: typed errors that cost no model", async () => {
    const phases = new Set<string>();
    const onProgress = ({ phase }: { phase: string }) => void phases.add(phase);
    const fresh = await createEngine({ workers: 1, models: { quarters } });
    const infected = noise(100);
    infected[3] = Number.NaN;
    const code = (input: Parameters<Engine["separate"]>[0]) =>
      fresh.separate(input, { ...options, onProgress }).catch((error: unknown) => (error as OtolithError).code);
    expect(await code({ channels: [infected], sampleRate: rate })).toBe("invalid-input");
    expect(await code({ channels: Array.from({ length: 9 }, () => noise(10)), sampleRate: rate })).toBe("invalid-input");
    expect(await code(new TextEncoder().encode("RIFF but no more"))).toBe("unsupported-format");
    expect([phases.has("verify"), phases.has("load"), phases.has("infer")]).toEqual([false, false, false]);
    await fresh.dispose();
  });
});
