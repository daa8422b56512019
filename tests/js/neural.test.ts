// Neural fingerprints by a model of the caller's: a small network with weights of seeded noise.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, expect, it } from "vitest";
import { melody } from "./signal.js";

const file = (name: string) => readFileSync(fileURLToPath(new URL(`../data/embedder/${name}`, import.meta.url)));
const manifest = JSON.parse(file("manifest.json").toString()).models[0] as Record<string, unknown>;
const bytes = () => new Uint8Array(file(String(manifest.file))).buffer;
const rate = 22_050;
const songs = Array.from({ length: 4 }, (_, index) => melody(20, rate, index + 31));
const sound = (index: number, from = 0, to = 20) => ({
  channels: [(songs[index] ?? new Float32Array()).slice(from * rate, to * rate)],
  sampleRate: rate,
});
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 2, models: { mine: { manifest, bytes: bytes() } } });
});
afterAll(async () => {
  await engine.dispose();
});

it("a clip is found again through the catalogue, by the model that is named", async () => {
  const catalog = await engine.openCatalog({ name: "neural", algorithm: "neural", model: "mine" });
  for (const index of songs.keys()) await catalog.enrol(sound(index), { id: `song ${index}` });
  expect((await catalog.stats()).postings).toBe(4 * 39);
  const [best] = await catalog.match(sound(2, 7, 13), { minConfidence: 0 });
  expect(best?.id).toBe("song 2");
  expect(Math.abs((best?.offset ?? 0) - 7)).toBeLessThanOrEqual(0.25);
  await catalog.close();
});

it("profile dense keeps every window, and places are told to a quarter of a second", async () => {
  const catalog = await engine.openCatalog({ name: "dense", algorithm: "neural", profile: "dense", model: "mine", storage: "memory" });
  await catalog.enrol(sound(1), { id: "song 1" });
  expect((await catalog.stats()).postings).toBe(77);
  const [best] = await catalog.match(sound(1, 7.25, 10.25), { minConfidence: 0 });
  expect(best).toMatchObject({ id: "song 1", offset: 7.25, votes: 9 });
  await catalog.close();
});

it("the print is the same bytes every time, and says which model made it", async () => {
  const print = await engine.fingerprint(sound(0), { algorithm: "neural", model: "mine", batch: 4 });
  const again = await engine.fingerprint(sound(0), { algorithm: "neural", model: "mine", batch: 4 });
  expect([print.algorithm, print.hashCount]).toEqual(["neural", 39]);
  expect(again.bytes()).toEqual(print.bytes());
  expect(await engine.inspect(print.bytes())).toMatchObject({ algorithm: "neural", model: { name: "embedder-tiny", dimensions: 16 } });
});

it("wasm gives what onnxruntime gives, to a cosine of 0.9999", async () => {
  // The closed form of reference_clip in tools/embedder_export.py.
  const clip = Float32Array.from({ length: 24_000 }, (_, n) => {
    const tone = (frequency: number, swing: number) => Math.sin((2 * Math.PI * frequency * n) / 8000 + swing);
    const tones = [330, 495, 660, 1234].reduce((sum, frequency) => sum + 0.2 * tone(frequency, Math.sin(n / 3000)), 0);
    return tones + 0.1 * (n / 24_000) * tone(2750, 0);
  });
  const print = await engine.fingerprint({ channels: [clip], sampleRate: 8000 }, { algorithm: "neural", model: "mine" });
  const { layers } = (await engine.inspect(print.bytes(), { peaks: 100 })) as unknown as { layers: { embeddings: number[][] }[] };
  const { embeddings } = JSON.parse(file("reference.json").toString()) as { embeddings: number[][] };
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  // A print has a window between each two of the reference.
  const found = (layers[0]?.embeddings ?? []).filter((_, index) => index % 2 === 0);
  expect(found).toHaveLength(embeddings.length);
  for (const [index, expected] of embeddings.entries()) {
    const own = found[index] ?? [];
    expect(dot(own, expected) / Math.sqrt(dot(own, own) * dot(expected, expected))).toBeGreaterThan(0.9999);
  }
});

it("what cannot be had is a typed error that says what to do", async () => {
  const neural = { algorithm: "neural" } as const;
  await expect(engine.fingerprint(sound(0), { ...neural, model: "theirs" })).rejects.toMatchObject({
    code: "model-load",
    message: expect.stringMatching(/"theirs".*mine/),
  });
  await expect(engine.fingerprint(sound(0), { model: "mine" })).rejects.toMatchObject({ code: "invalid-input" });
  await expect(engine.fingerprint(sound(0, 0, 0.5), { ...neural, model: "mine" })).rejects.toMatchObject({ code: "too-short" });
  expect(() => engine.fingerprint(sound(0), { ...neural, batch: 65 })).toThrow(/options.batch must be a whole number in 1..64/);
  const wrong = { ...manifest, parameters: { ...(manifest.parameters as object), dimensions: 32 } };
  const other = await createEngine({ workers: 1, models: { wrong: { manifest: wrong, bytes: bytes() } } });
  await expect(other.fingerprint(sound(0), { ...neural, model: "wrong" })).rejects.toMatchObject({ code: "model-load" });
  await other.dispose();
});
