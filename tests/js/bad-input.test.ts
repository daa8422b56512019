import { createEngine, type Engine, type OtolithError } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noise, sine, wav16 } from "./signal.js";

const rate = 44_100;
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 1 });
});
afterAll(async () => {
  await engine.dispose();
});

/** A sound of `count` channels. */
const sound = (count: number, frames: number, sampleRate = rate) => ({
  channels: Array.from({ length: count }, (_, index) => noise(frames, index + 1)),
  sampleRate,
});

describe("arguments of the wrong kind are TypeErrors, thrown at once", () => {
  it.each([undefined, null, 3, {}, [], { channels: [] }, () => {}])("input %s", (input) => {
    expect(() => engine.beats(input as never)).toThrow(TypeError);
  });

  it("a string is refused with what to pass instead", () => {
    expect(() => engine.beats("song.mp3" as never)).toThrow(/new URL\(\.\.\.\), for a path in Node pathToFileURL/);
  });

  it("channels and rate of samples are checked", () => {
    expect(() => engine.beats({ channels: [[0, 1]], sampleRate: rate } as never)).toThrow("input.channels[0] must be a Float32Array");
    expect(() => engine.beats({ channels: [noise(1)], sampleRate: "44100" } as never)).toThrow("input.sampleRate must be a number");
  });

  it.each([
    ["beats", { method: "best" }, 'options.method must be "auto" or "tcn" or "flux", got "best"'],
    ["beats", { minBpm: 10 }, "options.minBpm must be in 30..300 beats per minute, got 10"],
    ["beats", { meters: [2.5] }, "options.meters must be a list of whole numbers"],
    ["beats", { threshold: 2 }, "options.threshold must be in 0..1, got 2"],
    ["beats", { observationLambda: 1 }, "options.observationLambda must be in 2..64, got 1"],
    ["beats", { tempo: 1 }, "options.tempo is not an option here"],
    ["fingerprint", { algorithm: "chroma" }, 'options.algorithm must be "wang" or "panako" or "haitsma" or "neural", got "chroma"'],
    ["fingerprint", { algorithm: "panako", profile: "dense" }, 'options.profile must be "default" or left out with algorithm panako'],
    ["fingerprint", { algorithm: "haitsma", profile: "large" }, 'options.profile must be "default" or left out with algorithm haitsma'],
    ["fingerprint", { profile: "5k" }, 'options.profile must be "default" or left out with algorithm wang, got "5k"'],
    ["activity", { silence: -10 }, "options.silence must be in -100..-20, got -10"],
    ["fingerprint", { mix: "left" }, "options.mix must be"],
    ["fingerprint", { silence: -10 }, "options.silence must be in -100..-20"],
    ["separate", { stems: 3 }, "options.stems must be 2 or 5, got 3"],
    ["separate", { overlap: -1 }, "options.overlap must be in 0.5..4 seconds, got -1"],
    ["separate", { chunk: 6, overlap: 3.5 }, "options.overlap must be at most half of options.chunk, got 3.5 and 6"],
    ["separate", { tier: "pro" }, 'options.tier must be "free" or "none" on this engine, got "pro"'],
    ["separate", { device: "tpu" }, 'options.device must be "auto" or "cpu" or "gpu", got "tpu"'],
    ["separate", { key: "secret" }, "options.key is not an option here"],
    ["separate", { signal: "stop" }, "options.signal must be an AbortSignal"],
    ["decode", { transfer: 1 }, "options.transfer must be true or false"],
  ] as const)("%s(input, %o)", (method, options, message) => {
    expect(() => engine[method](sound(1, 10), options as never)).toThrow(message);
  });

  it.each([
    [{ workers: 0 }, "options.workers must be a whole number in 1..64, got 0"],
    [{ tier: "gold" }, 'options.tier must be "free" or "none" or "pro" or "vip", got "gold"'],
    [{ key: "secret" }, "options.key is not an option here"],
    [{ limits: { seconds: 3 } }, "options.limits.seconds is not an option here"],
    [{ limits: { durationSeconds: -1 } }, "options.limits.durationSeconds must be in 0.."],
    [{ urls: { core: 3 } }, "options.urls.core must be a string, URL, Response, ArrayBuffer or WebAssembly.Module, got 3"],
    [{ logger: {} }, "options.logger must be an object with a function warn"],
    [{ models: 3 }, "options.models must be a base URL"],
    [{ models: { mine: { manifest: 1, bytes: new ArrayBuffer(1) } } }, "options.models.mine.manifest must be an object, got 1"],
    [{ models: { mine: { manifest: {}, bytes: "file" } } }, "options.models.mine.bytes must be an ArrayBuffer, Blob or URL"],
  ])("createEngine(%o)", async (options, message) => {
    await expect(createEngine(options as never)).rejects.toThrow(message);
    await expect(createEngine(options as never)).rejects.toBeInstanceOf(TypeError);
  });
});

describe("sounds that cannot be used reject with a typed error, and the engine lives on", () => {
  const text = new TextEncoder().encode("<!doctype html><title>not a song</title>");
  const whole = new Uint8Array(wav16([sine(rate, 440, rate)], rate));

  it.each([
    ["an empty file", new ArrayBuffer(0), "invalid-input"],
    ["a web page", text, "unsupported-format"],
    ["a web page named .mp3", new File([text], "song.mp3"), "unsupported-format"],
    ["random bytes", new Uint8Array(noise(500).buffer), "unsupported-format"],
    ["the first 20 bytes of a WAV file", whole.slice(0, 20), "unsupported-format"],
    ["no channels", { channels: [], sampleRate: rate }, "invalid-input"],
    ["nine channels", sound(9, 10), "invalid-input"],
    ["a rate of 4 kHz", sound(1, 10, 4000), "invalid-input"],
    ["a rate of 400 kHz", sound(1, 10, 400_000), "invalid-input"],
    ["a rate of NaN", sound(1, 10, Number.NaN), "invalid-input"],
    ["a fractional rate", sound(1, 10, 44_100.5), "invalid-input"],
    ["an address with nothing behind it", new URL("file:///nothing/here.wav"), "invalid-input"],
  ])("%s", async (_, input, code) => {
    await expect(engine.beats(input)).rejects.toMatchObject({ name: "OtolithError", code });
  });

  it("channels of two lengths are refused before anything is taken", () => {
    const channels = [noise(10), noise(11)];
    expect(() => engine.beats({ channels, sampleRate: rate }, { transfer: true })).toThrow("channel 0 has 10");
    expect(channels.map(({ length }) => length)).toEqual([10, 11]);
  });

  it("NaN and Infinity are named by channel and frame", async () => {
    const channels = [noise(100), noise(100)];
    (channels[1] ?? [])[37] = Number.NaN;
    await expect(engine.decode({ channels, sampleRate: rate })).rejects.toMatchObject({
      code: "invalid-input",
      message: expect.stringMatching(/channel 1.*frame 37|frame 37.*channel 1/),
    });
  });

  it.each([0, 1])("%i samples are too short for beats, and no crash", async (frames) => {
    await expect(engine.beats(sound(1, frames))).rejects.toMatchObject({
      name: "OtolithError",
      code: expect.stringMatching(/too-short|invalid-input/),
    });
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])("%i channels are read", async (count) => {
    expect((await engine.decode(sound(count, 50))).channels).toHaveLength(count);
  });

  it.each([8000, 192_000])("%i Hz is read", async (sampleRate) => {
    expect((await engine.decode(sound(2, 50, sampleRate))).sampleRate).toBe(sampleRate);
  });

  it("limits of the caller's are kept and named", async () => {
    const strict = await createEngine({ workers: 1, limits: { durationSeconds: 1, inputBytes: 1000, decodedBytes: 6000 } });
    try {
      const limitOf = (input: Parameters<Engine["decode"]>[0]) =>
        strict.decode(input).catch((error: unknown) => {
          const { code, details } = error as OtolithError;
          return [code, details.limit];
        });
      expect(await limitOf(sound(1, rate + 1))).toEqual(["limit", "durationSeconds"]);
      expect(await limitOf(sound(2, 1000))).toEqual(["limit", "decodedBytes"]);
      expect(await limitOf(wav16([noise(600)], rate))).toEqual(["limit", "inputBytes"]);
      const address = new URL(`data:audio/wav;base64,${Buffer.from(wav16([noise(600)], rate)).toString("base64")}`);
      expect(await limitOf(address)).toEqual(["limit", "inputBytes"]);
      expect((await strict.decode(sound(1, 1000))).channels[0]?.length).toBe(1000);
    } finally {
      await strict.dispose();
    }
  });
});
