import { readFile } from "node:fs/promises";
import { createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, expect, it } from "vitest";

const rate = 8_000;
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 1 });
});
afterAll(async () => {
  await engine.dispose();
});

/** Chords of held tones, a new one every half second. */
function chords(seconds: number): Float32Array<ArrayBuffer> {
  const notes = [220, 277.2, 329.6, 392, 246.9, 293.7, 440];
  return Float32Array.from({ length: seconds * rate }, (_, n) => {
    const chord = Math.floor((2 * n) / rate);
    const within = ((2 * n) / rate) % 1;
    const tone = (k: number) => Math.sin((2 * Math.PI * n * (notes[(chord * 3 + k) % notes.length] ?? 0)) / rate);
    return 0.15 * (1 - 0.4 * within) * (tone(0) + tone(2) + tone(4));
  });
}

it("tells music, silence and speech, and fills the sound with stretches", async () => {
  const speech = await engine.decode(new Uint8Array(await readFile("tests/data/activity/flite.flac")));
  const parts = [chords(6), new Float32Array(4 * rate), speech.channels[0] ?? new Float32Array()];
  const sound = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    sound.set(part, at);
    at += part.length;
  }
  const segments = await engine.activity({ channels: [sound], sampleRate: rate });
  const kindAt = (time: number) => segments.find(({ end }) => end > time)?.kind;
  expect([3, 8, 13].map(kindAt)).toEqual(["music", "silence", "speech"]);
  expect(segments[0]?.start).toBe(0);
  expect(segments.at(-1)?.end).toBeCloseTo(sound.length / rate, 6);
  for (const { confidence } of segments) expect(confidence).toBeGreaterThanOrEqual(0.5);
});

it("refuses a sound that is too short to tell, with the least length", async () => {
  const short = { channels: [new Float32Array(rate)], sampleRate: rate };
  await expect(engine.activity(short)).rejects.toMatchObject({ code: "too-short", message: expect.stringContaining("2.096") });
});
