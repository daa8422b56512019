import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createEngine } from "otolith";
import { describe, expect, it } from "vitest";
import { melody } from "./signal.js";

const folder = fileURLToPath(new URL("../../dist/models/", import.meta.url));
const isShipped = existsSync(`${folder}manifest.json`);
const sound = { channels: [melody(2, 44_100)], sampleRate: 44_100 };

/** A separation with default options by an engine made with `models`. */
async function separateWith(models: Record<string, unknown>, options = {}) {
  await using engine = await createEngine({ workers: 1, models: models as never });
  return await engine.separate(sound, { debug: true, ...options });
}

// A checkout without trained models builds and tests; the package always has them.
describe.runIf(isShipped)("the models of the package", () => {
  it("two stems need no option, and the hash told is that of the file", async () => {
    const { stems, model, metadata } = await separateWith({});
    expect(Object.keys(stems)).toEqual(["vocals", "instrumental"]);
    const file = readFileSync(`${folder}${model.name}-${model.version}.onnx`);
    expect(metadata).toMatchObject({
      modelName: "TF-Locoformer",
      modelVariant: "2-stem",
      weightHash: createHash("sha256").update(file).digest("hex"),
    });
  });

  it("five stems are asked for by number, add up to the mix, and tier free has them where the page says so", async () => {
    await using engine = await createEngine({ workers: 1, tier: "free", policy: { stems: { free: 5 } } });
    const { stems, model } = await engine.separate(sound, { stems: 5 });
    expect(model.name).toBe("separator-5");
    expect(Object.keys(stems)).toEqual(["vocals", "drums", "bass", "instruments", "fx"]);
    const outputs = Object.values(stems).map(({ channels }) => channels[0] as Float32Array);
    const mix = sound.channels[0] as Float32Array;
    const missed = mix.reduce(
      (most, sample, at) => Math.max(most, Math.abs(sample - outputs.reduce((sum, one) => sum + (one[at] ?? 0), 0))),
      0,
    );
    expect(missed).toBeLessThan(1e-5);
    expect(engine.usage()).toHaveLength(1);
  });

  it("a version that is not there, and a number of stems without a model, are told with what is known", async () => {
    await expect(separateWith({ "separator-2": "0.0.0" })).rejects.toMatchObject({
      code: "model-load",
      message: expect.stringContaining("known are"),
    });
    await expect(separateWith({}, { model: "separator-9" })).rejects.toMatchObject({
      code: "model-load",
      details: { known: expect.arrayContaining(["separator-2-lite"]) },
    });
  });

  it("a model of the caller's cannot take a shipped one's name", async () => {
    const models = { "separator-2-lite": { manifest: {}, bytes: new ArrayBuffer(1) } };
    await expect(separateWith(models)).rejects.toThrow(
      new TypeError("options.models.separator-2-lite is the name of a shipped model: choose another"),
    );
  });
});

it("the package has the models that its manifest names, byte for byte", () => {
  const manifest = isShipped ? JSON.parse(readFileSync(`${folder}manifest.json`, "utf8")) : { models: [] };
  const filesOf = (model: { files?: [] }) => model.files ?? [model];
  for (const { file, bytes, sha256 } of manifest.models.flatMap(filesOf)) {
    const content = readFileSync(`${folder}${file}`);
    expect([content.length, createHash("sha256").update(content).digest("hex")]).toEqual([bytes, sha256]);
  }
  expect(Array.isArray(manifest.models)).toBe(true);
});
