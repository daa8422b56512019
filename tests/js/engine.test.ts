import type { Worker } from "node:worker_threads";
import { createEngine, type Engine, OtolithError } from "otolith";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { clicks, noise, sine, wav16 } from "./signal.js";

const rate = 44_100;
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(async () => {
  await engine.dispose();
});

describe("engine", () => {
  it("tells what it runs on", () => {
    expect(engine.environment).toMatchObject({ wasm: true, simd: true, workers: true });
    expect(engine.workers).toBe(2);
  });

  it("decodes a file from every kind of input to the same samples", async () => {
    const tone = sine(4410, 440, rate);
    const file = wav16([tone, noise(4410)], rate);
    const inputs = [
      file,
      new Uint8Array(file),
      Buffer.from(file),
      new Blob([file]),
      new File([file], "tone.wav"),
      new URL(`data:audio/wav;base64,${Buffer.from(file).toString("base64")}`),
    ];
    const decoded = await Promise.all(inputs.map((input) => engine.decode(input)));
    for (const { channels, sampleRate, warnings } of decoded) {
      expect([channels.length, sampleRate, warnings]).toEqual([2, rate, []]);
      expect(channels[0]?.length).toBe(4410);
      expect(channels).toEqual(decoded[0]?.channels);
    }
    const worst = Math.max(...tone.map((sample, n) => Math.abs(sample - (decoded[0]?.channels[0]?.[n] ?? 9))));
    // Rounding to 16 bits and the two conventions of full scale, 32767 and 32768.
    expect(worst).toBeLessThan(3.2e-5);
  });

  it("takes planar samples and the shape of an AudioBuffer as they are", async () => {
    const channels = [noise(100, 1), noise(100, 2)];
    const buffer = { numberOfChannels: 2, sampleRate: rate, getChannelData: (index: number) => channels[index] ?? new Float32Array() };
    expect((await engine.decode({ channels, sampleRate: rate })).channels).toEqual(channels);
    expect((await engine.decode(buffer)).channels).toEqual(channels);
  });

  it("copies its input unless told otherwise", async () => {
    const file = wav16([sine(1000, 440, rate)], rate);
    const channel = noise(1000);
    await engine.decode(file);
    await engine.decode({ channels: [channel], sampleRate: rate });
    expect([file.byteLength, channel.length]).toEqual([2044, 1000]);
    const changed = engine.decode({ channels: [channel], sampleRate: rate });
    const before = channel[0];
    channel[0] = 0.123;
    expect((await changed).channels[0]?.[0]).toBe(before);
  });

  it("transfer gives the input away at once", async () => {
    const file = wav16([sine(1000, 440, rate)], rate);
    const job = engine.decode(file, { transfer: true });
    expect(file.byteLength).toBe(0);
    expect((await job).channels[0]?.length).toBe(1000);
    const channel = noise(1000);
    const second = engine.decode({ channels: [channel], sampleRate: rate }, { transfer: true });
    expect(channel.length).toBe(0);
    expect((await second).channels[0]).toEqual(noise(1000));
  });

  it("views that share a buffer, or are part of one, are copied even with transfer", async () => {
    const shared = noise(2000);
    const channels = [shared.subarray(0, 1000), shared.subarray(1000)];
    const decoded = await engine.decode({ channels, sampleRate: rate }, { transfer: true });
    expect(decoded.channels).toEqual(channels.map((channel) => channel.slice()));
    expect(shared.length).toBe(2000);
  });

  it("finds the beats of a click track at 120 BPM every half second", async () => {
    const track = await engine.beats({ channels: [clicks(20, 120, rate)], sampleRate: rate });
    expect(track.beats).toBeInstanceOf(Float64Array);
    expect(track.tempo.bpm).toBeCloseTo(120, 0);
    expect(track.method).toBe("flux");
    const gaps = Array.from(track.beats.subarray(1), (time, index) => time - (track.beats[index] ?? 0));
    for (const gap of gaps) expect(Math.abs(gap - 0.5)).toBeLessThan(0.02);
  });

  it("a click track over silence has sound at the beats and none between them", async () => {
    const times = { beats: Float64Array.of(0.5, 1), downbeats: Float64Array.of(0.5) };
    const silence = { channels: [new Float32Array(2 * rate)], sampleRate: rate };
    const { channels, sampleRate } = await engine.clickTrack(silence, times);
    const level = (from: number, to: number) => Math.max(...(channels[0] ?? []).slice(from * sampleRate, to * sampleRate).map(Math.abs));
    expect(level(0.5, 0.52)).toBeGreaterThan(0.3);
    expect(level(1, 1.02)).toBeGreaterThan(0.3);
    expect([level(0, 0.49), level(0.6, 0.99)]).toEqual([0, 0]);
  });

  it("writes WAV files that it reads back: exactly as float, within half a step as integers", async () => {
    const audio = { channels: [noise(500, 3), noise(500, 4)], sampleRate: 48_000 };
    for (const [format, tolerance] of [
      ["wav32f", 0],
      ["wav24", 2 ** -23],
      ["wav16", 2 ** -15],
    ] as const) {
      const { channels, sampleRate } = await engine.decode(await engine.encodeWav(audio, { format }));
      expect(sampleRate).toBe(48_000);
      const worst = Math.max(
        ...audio.channels.flatMap((channel, index) => Array.from(channel, (sample, n) => Math.abs(sample - (channels[index]?.[n] ?? 9)))),
      );
      expect(worst).toBeLessThanOrEqual(tolerance);
    }
  });

  it("progress goes through decode and analyze to the end", async () => {
    const phases: string[] = [];
    const file = wav16([clicks(10, 100, rate)], rate);
    await engine.beats(file, { onProgress: ({ phase, done, total }) => phases.push(`${phase} ${done}/${total}`) });
    expect(phases[0]).toBe("decode 0/1");
    expect(phases).toContain("decode 1/1");
    expect(phases.at(-1)).toBe("analyze 1/1");
  });

  it("two engines live side by side, and closing one leaves the other", async () => {
    const other = await createEngine({ workers: 1 });
    const input = { channels: [noise(1000)], sampleRate: rate };
    await other.decode(input);
    await other.dispose();
    await expect(other.decode(input)).rejects.toMatchObject({ code: "disposed" });
    expect((await engine.decode(input)).channels[0]?.length).toBe(1000);
  });

  it("dispose rejects what is under way and what waits, and can be repeated", async () => {
    const closing = await createEngine({ workers: 1 });
    const jobs = Array.from({ length: 4 }, () => closing.beats({ channels: [noise(rate * 60)], sampleRate: rate }));
    const outcomes = Promise.allSettled(jobs);
    await closing.dispose();
    await closing.dispose();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: "rejected", reason: { code: "disposed" } });
    await expect(closing.openCatalog()).rejects.toMatchObject({ code: "disposed" });
  });

  it("twenty rounds of create, run and dispose leave no worker behind", async () => {
    const workers: Worker[] = [];
    const note = (worker: Worker) => void workers.push(worker);
    process.on("worker", note);
    for (let round = 0; round < 20; round++) {
      await using short = await createEngine({ workers: 1 });
      await short.decode({ channels: [noise(100)], sampleRate: rate });
      await short.openCatalog();
    }
    process.off("worker", note);
    expect(workers).toHaveLength(40);
    // A thread that has ended has the id -1.
    await vi.waitFor(() => expect(workers.every(({ threadId }) => threadId === -1)).toBe(true));
  });

  it("a wrong option leaves a buffer that was to be transferred with its owner", () => {
    const file = wav16([noise(100)], rate);
    expect(() => engine.decode(file, { transfer: true, onProgress: 3 as never })).toThrow(TypeError);
    expect(file.byteLength).toBe(244);
  });

  it("await using closes it", async () => {
    let kept: Engine;
    {
      await using short = await createEngine();
      kept = short;
    }
    await expect(kept.encodeWav({ channels: [noise(10)], sampleRate: rate })).rejects.toMatchObject({ code: "disposed" });
  });
});

describe("a crash", () => {
  it("rejects with the panic's text, spares the others, and the next call works", async () => {
    const input = { channels: [clicks(20, 120, rate)], sampleRate: rate };
    const alone = await engine.beats(input);
    const beside = engine.beats(input);
    const crash = (engine as unknown as { crash(message: string): Promise<void> }).crash("injected fault");
    await expect(crash).rejects.toBeInstanceOf(OtolithError);
    await expect(crash).rejects.toMatchObject({ code: "crashed", details: { panic: expect.stringContaining("injected fault") } });
    expect(await beside).toEqual(alone);
    expect(await engine.beats(input)).toEqual(alone);
  });
});

describe("cancel", () => {
  const long = () => ({ channels: [noise(rate * 120)], sampleRate: rate });

  it("while queued runs nothing", async () => {
    const jobs = Array.from({ length: 2 }, () => engine.beats(long()));
    const queued = engine.beats(long());
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(queued.state).toBe("queued");
    queued.cancel("not now");
    await expect(queued).rejects.toBe("not now");
    expect([queued.state, queued.progress]).toEqual(["cancelled", null]);
    for (const job of jobs) job.cancel();
    await Promise.allSettled(jobs);
  });

  it.each(["decode", "analyze"] as const)("in the middle of %s is heard within a step", async (phase) => {
    const file = wav16([noise(rate * 60)], rate);
    const controller = new AbortController();
    const reason = new Error("enough");
    const seen: string[] = [];
    const job = engine.beats(file, {
      signal: controller.signal,
      onProgress: (progress) => {
        seen.push(progress.phase);
        if (progress.phase === phase && progress.done > 0) controller.abort(reason);
      },
    });
    await expect(job).rejects.toBe(reason);
    expect(seen.at(-1)).toBe(phase);
    expect(job.progress?.done).toBeLessThan(1);
    // The worker heard it between two steps and lives on: the next job has the same one.
    expect((await engine.beats({ channels: [clicks(10, 120, rate)], sampleRate: rate })).tempo.bpm).toBeCloseTo(120, 0);
  });

  it("a job beside a cancelled one gives what it gives alone", async () => {
    const input = { channels: [clicks(20, 140, rate)], sampleRate: rate };
    const alone = await engine.beats(input);
    const victim = engine.beats(long());
    const beside = engine.beats(input);
    victim.cancel();
    await expect(victim).rejects.toMatchObject({ name: "AbortError" });
    expect(await beside).toEqual(alone);
  });
});
