// Beats by the shipped networks in wasm: those of the native build, and the same bits however the work is cut or shared out.
import { readFileSync } from "node:fs";
import { type BeatEvent, type BeatTrack, createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Beats that `tests/rust/beat_shipped.rs` found in {@link piece}. */
const stored: { model: { name: string; version: string }; beats: number[] } = JSON.parse(
  readFileSync(new URL("../data/beat_parity_tcn.json", import.meta.url), "utf8"),
);
const sampleRate = 22_050;
const sound = piece();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 1 });
});
afterAll(() => engine.dispose());

/** The piece of `tests/rust/beat_parity.rs`: twelve seconds at 126 beats per minute. */
function piece(): Float32Array {
  const samples = new Float32Array(12 * sampleRate);
  for (let half = 0; half < 49; half++) {
    const start = Math.trunc(((half * 30) / 126 + 0.2) * sampleRate);
    const [pitch, gain] = half % 4 === 0 ? [180, 0.8] : half % 4 === 2 ? [700, 0.6] : [3_000, 0.2];
    for (let index = 0; index < 3_000 && start + index < samples.length; index++) {
      const time = index / sampleRate;
      samples[start + index] =
        (samples[start + index] ?? 0) + Math.fround(gain * Math.exp(-40 * time) * Math.sin(2 * Math.PI * pitch * time));
    }
  }
  return samples;
}

const track = (by: Engine): PromiseLike<BeatTrack> => by.beats({ channels: [sound], sampleRate }, { method: "tcn" });

describe("beats by the shipped network", () => {
  it("are those of the native build within 1 ms", async () => {
    const found = await track(engine);
    expect([found.method, found.model]).toEqual(["tcn", stored.model]);
    expect(found.beats.length).toBe(stored.beats.length);
    found.beats.forEach((beat, index) => void expect(Math.abs(beat - (stored.beats[index] ?? Number.NaN))).toBeLessThan(0.001));
  });

  it("are the same bits in repeats and with more workers, all at once", async () => {
    const once = await track(engine);
    expect(await track(engine)).toEqual(once);
    await using pool = await createEngine({ workers: 2 });
    for (const again of await Promise.all([track(pool), track(pool), track(pool)])) expect(again).toEqual(once);
  });
});

describe("a stream by the shipped network", () => {
  it("gives the same bits however the samples are cut", async () => {
    const hear = async (cut: number): Promise<BeatEvent[]> => {
      using stream = await engine.beatStream({ sampleRate, method: "tcn" });
      expect([stream.method, stream.model?.name]).toEqual(["tcn", "beat-causal"]);
      const events: BeatEvent[] = [];
      for (let start = 0; start < sound.length; start += cut) events.push(...(await stream.push(sound.subarray(start, start + cut))));
      events.push(...(await stream.flush()));
      for (const { emittedAt, time } of events) expect(emittedAt - time).toBeLessThanOrEqual(stream.latency);
      return events;
    };
    const whole = await hear(sound.length);
    expect(whole.length).toBeGreaterThan(8);
    expect(await hear(1_000)).toEqual(whole);
    expect(await hear(12_345)).toEqual(whole);
  });
});
