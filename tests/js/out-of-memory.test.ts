// Memory that cannot be had: wasm files whose linear memory has a bound of ours, as a phone may set one of its own.
import { readFileSync } from "node:fs";
import { createEngine, type Engine } from "otolith";
import { afterEach, describe, expect, it } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { noise, wav16 } from "./signal.js";

const rate = 44_100;
const MIB = 1024 ** 2;
const quarters = fixtureModel("mask-quarters");
let engine: Engine | undefined;

afterEach(async () => {
  await engine?.dispose();
});

/** An unsigned number at `at`, and where it ends (LEB128: WebAssembly core specification, 5.2.2). */
function readNumber(bytes: Uint8Array, at: number): [value: number, end: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7, at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at + 1];
  }
}

function writeNumber(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...writeNumber(Math.floor(value / 128))];
}

/** A wasm file of the package with at most `bytes` of linear memory: its section 5 gets a maximum. */
function bounded(file: "core" | "neural", bytes: number): ArrayBuffer {
  const wasm = new Uint8Array(readFileSync(new URL(`../../dist/${file}.wasm`, import.meta.url)));
  for (let at = 8; at < wasm.length; ) {
    const [length, start] = readNumber(wasm, at + 1);
    if (wasm[at] !== 5) {
      at = start + length;
      continue;
    }
    // One memory; whatever maximum it has is left out.
    const [least] = readNumber(wasm, start + 2);
    const section = [1, 1, ...writeNumber(least), ...writeNumber(Math.max(least, bytes / 65_536))];
    return new Uint8Array([...wasm.subarray(0, at), 5, ...writeNumber(section.length), ...section, ...wasm.subarray(start + length)])
      .buffer;
  }
  throw new Error(`${file}.wasm has no memory`);
}

const stereo = (seconds: number) => ({ channels: [noise(seconds * rate, 1), noise(seconds * rate, 2)], sampleRate: rate });
const exhausted = { name: "OtolithError", code: "out-of-memory", message: expect.stringMatching(/memory|reserve/) };

describe("a worker that can get no more memory", () => {
  it("running the network: out-of-memory with what helps, and a job that needs less works", async () => {
    engine = await createEngine({ workers: 1, models: { quarters }, urls: { neural: bounded("neural", 48 * MIB) } });
    const job = engine.separate(stereo(40), { model: "quarters" });
    await expect(job).rejects.toMatchObject({ ...exhausted, message: expect.stringContaining("take a shorter options.chunk") });
    expect(job.state).toBe("failed");
    const { frames, peakMemory } = await engine.separate(stereo(14), { model: "quarters", chunk: 6, overlap: 0.5 });
    expect(frames).toBe(14 * rate);
    expect(Math.max(...peakMemory.inference)).toBeLessThanOrEqual(48 * MIB);
  });

  it("loading the model: the same", async () => {
    engine = await createEngine({ workers: 1, models: { quarters }, urls: { neural: bounded("neural", 0) } });
    for (const _ of [1, 2]) await expect(engine.separate(stereo(1), { model: "quarters" })).rejects.toMatchObject(exhausted);
  });

  it("at home: decoding, beats, separating; then a shorter sound works", async () => {
    engine = await createEngine({ workers: 1, models: { quarters }, urls: { core: bounded("core", 12 * MIB) } });
    const wav = (seconds: number) => wav16(stereo(seconds).channels, rate);
    for (const job of [engine.decode(wav(60)), engine.beats(wav(60)), engine.separate(stereo(60), { model: "quarters", chunk: 30 })])
      await expect(job).rejects.toMatchObject(exhausted);
    expect((await engine.decode(wav(2))).channels[0]).toHaveLength(2 * rate);
    expect((await engine.separate(stereo(2), { model: "quarters", chunk: 6 })).frames).toBe(2 * rate);
  });
});
