// Neural fingerprints by the network that the package ships, without naming any.
import { createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, expect, it } from "vitest";
import { melody } from "./signal.js";

const rate = 16_000;
const songs = Array.from({ length: 10 }, (_, index) => melody(12, rate, 401 + index));
const clip = (samples: Float32Array<ArrayBuffer>, from: number, seconds: number) => ({
  channels: [samples.slice(from * rate, (from + seconds) * rate)],
  sampleRate: rate,
});
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(async () => {
  await engine.dispose();
});

it("excerpts of two and three seconds are found at their place, and strangers are not", async () => {
  const catalog = await engine.openCatalog({ name: "shipped", algorithm: "neural", storage: "memory" });
  for (const [index, samples] of songs.entries()) await catalog.enrol(clip(samples, 0, 12), { id: `song ${index}` });
  for (const seconds of [2, 3]) {
    const found = await Promise.all(songs.map(async (samples) => (await catalog.match(clip(samples, 3.1, seconds)))[0]));
    expect(found.filter((hit, index) => hit?.id === `song ${index}`).length).toBeGreaterThanOrEqual(9);
    for (const hit of found) expect(Math.abs((hit?.offset ?? 3.1) - 3.1)).toBeLessThanOrEqual(0.5);
    const strangers = await Promise.all(songs.map((_, index) => catalog.match(clip(melody(3, rate, 901 + index), 0, seconds))));
    expect(strangers.flat()).toEqual([]);
  }
  await catalog.close();
});

it("the print names the shipped model", async () => {
  const print = await engine.fingerprint(clip(songs[0] as Float32Array<ArrayBuffer>, 0, 3), { algorithm: "neural" });
  expect(await engine.inspect(print.bytes())).toMatchObject({ model: { name: "embedder", version: "1.0.0", dimensions: 128 } });
});
