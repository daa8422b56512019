import { type BeatEvent, createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clicks } from "./signal.js";

const rate = 44_100;
const sound = clicks(12, 120, rate);
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 1 });
});
afterAll(() => engine.dispose());

async function hear(cut: number): Promise<BeatEvent[]> {
  using stream = await engine.beatStream({ sampleRate: rate, method: "flux" });
  const events: BeatEvent[] = [];
  for (let start = 0; start < sound.length; start += cut) events.push(...(await stream.push(sound.subarray(start, start + cut))));
  return [...events, ...(await stream.flush())];
}

describe("a beat stream", () => {
  it("gives every beat of a click track, in order, no later than its latency, however the samples are cut", async () => {
    const events = await hear(1_000);
    using stream = await engine.beatStream({ sampleRate: rate, method: "flux" });
    expect(events.length).toBeGreaterThanOrEqual(16);
    for (const { kind, time, emittedAt, bpm, extrapolated } of events.slice(4)) {
      expect(kind).toBe("beat");
      // After the last click a beat is where the tempo puts it.
      expect(Math.abs(((time + 0.25) % 0.5) - 0.25)).toBeLessThan(extrapolated ? 0.03 : 0.007);
      expect(Math.abs(bpm - 120)).toBeLessThan(1);
      expect(emittedAt - time).toBeLessThanOrEqual(stream.latency);
    }
    expect(await hear(12_345)).toEqual(events);
    expect(await hear(sound.length)).toEqual(events);
  });

  it("counts what is no number, and says how it hears", async () => {
    using stream = await engine.beatStream({ sampleRate: 48_000, method: "flux" });
    await stream.push([Float32Array.of(0, Number.NaN), Float32Array.of(0, 0)]);
    expect([stream.replaced, stream.method, stream.model, stream.notice, stream.sampleRate]).toEqual([1, "flux", null, null, 48_000]);
  });

  it("refuses what is wrong, by name", async () => {
    for (const [options, message] of [
      [{}, "options.sampleRate must be a whole number in 8000..192000 Hz, got undefined"],
      [{ sampleRate: 44_100.5 }, "options.sampleRate must be a whole number"],
      [{ sampleRate: 4_000 }, "options.sampleRate must be a whole number in 8000..192000 Hz, got 4000"],
      [{ sampleRate: 44_100, signal: 1 }, "options.signal is not an option here"],
    ] as const)
      await expect(engine.beatStream(options as never)).rejects.toThrow(message);
    using stream = await engine.beatStream({ sampleRate: rate });
    await expect(stream.push([0, 1] as never)).rejects.toThrow(TypeError);
    await expect(stream.push([new Float32Array(2), new Float32Array(3)])).rejects.toMatchObject({ code: "invalid-input" });
  });

  it("takes nothing after its end, nor after it was closed, nor after its engine was", async () => {
    const stream = await engine.beatStream({ sampleRate: rate });
    await stream.flush();
    await expect(stream.push(new Float32Array(1))).rejects.toMatchObject({ code: "invalid-input" });
    stream.close();
    await expect(stream.push(new Float32Array(1))).rejects.toMatchObject({ code: "disposed" });
    const other = await createEngine({ workers: 1 });
    const left = await other.beatStream({ sampleRate: rate });
    await other.dispose();
    await expect(left.flush()).rejects.toMatchObject({ code: "disposed" });
    await expect(other.beatStream({ sampleRate: rate })).rejects.toMatchObject({ code: "disposed" });
  });
});
