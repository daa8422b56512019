// What holds for every kind of network: stems sum to the mix.
import { createEngine, type Engine, type SeparationResult } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { melody, noise } from "./signal.js";

const names = ["mask-quarters", "map-quarters", "map-int8", "waveform-quarters", "mdx-quarter", "mask-five"] as const;
const rate = 44_100;
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 2, models: Object.fromEntries(names.map((name) => [name, fixtureModel(name)])) });
});
afterAll(async () => {
  await engine.dispose();
});

/** Front + 0.7071 centre + 0.7071 surround of that side, without the low-frequency channel (ITU-R BS.775-3, table 2). */
function downMix([left, right, centre, , leftSurround, rightSurround]: readonly Float32Array[]): Float32Array[] {
  const mixed = (front?: Float32Array, surround?: Float32Array) =>
    (front ?? new Float32Array()).map((sample, n) => sample + Math.SQRT1_2 * ((centre?.[n] ?? 0) + (surround?.[n] ?? 0)));
  return [mixed(left, leftSurround), mixed(right, rightSurround)];
}

/** Peak of the mix minus the sum of all stems, in dB of full scale. */
function nullDb(mix: readonly Float32Array[], { stems }: SeparationResult): number {
  let peak = 0;
  for (const [index, channel] of mix.entries())
    for (const [n, sample] of channel.entries()) {
      const sum = Object.values(stems).reduce((total, { channels }) => total + (channels[index]?.[n] ?? Number.NaN), 0);
      // A stem that is missing or shorter must not pass.
      peak = Number.isNaN(sum) ? Number.POSITIVE_INFINITY : Math.max(peak, Math.abs(sample - sum));
    }
  return 20 * Math.log10(peak);
}

describe.each(names)("stems of %s sum to the mix", (model) => {
  it.each([
    ["stereo", [noise(rate * 9, 1), noise(rate * 9, 2)], rate],
    ["mono", [melody(9, rate, 3)], rate],
    ["6 channels at 48 kHz", Array.from({ length: 6 }, (_, index) => noise(48_000 * 7, index + 4).map((x) => 0.3 * x)), 48_000],
  ] as const)("%s, to -90 dBFS", async (_, channels, sampleRate) => {
    const result = await engine.separate({ channels: [...channels], sampleRate }, { model });
    const mix = channels.length === 6 ? downMix(channels) : channels;
    expect(nullDb(mix, result)).toBeLessThanOrEqual(-90);
    expect(Object.values(result.stems).map((stem) => stem.channels.length)).toEqual(
      Array(Object.keys(result.stems).length).fill(Math.min(2, channels.length)),
    );
  });

  it("through silent chunks, which have exact zeros in all stems but the residual", async () => {
    // A second of sound at each end of 60 s: whatever the model's chunk, one lies in the pause.
    const channels = [noise(rate * 60, 7), noise(rate * 60, 8)].map((channel) => channel.fill(0, rate, rate * 59));
    const result = await engine.separate({ channels, sampleRate: rate }, { model });
    expect(result.silentChunks).toBeGreaterThanOrEqual(1);
    expect(nullDb(channels, result)).toBeLessThanOrEqual(-90);
    for (const stem of Object.values(result.stems))
      for (const channel of stem.channels) expect(channel.subarray(rate * 29, rate * 31).every((sample) => sample === 0)).toBe(true);
  });
});

it("weights of whole numbers with a scale for each output are read for what they stand for", async () => {
  const channels = [melody(9, rate, 1), melody(9, rate, 2)];
  const { stems } = await engine.separate({ channels, sampleRate: rate }, { model: "map-int8", conditioning: false });
  for (const [index, channel] of channels.entries()) {
    const vocals = stems.vocals?.channels[index];
    const error = channel.reduce((peak, sample, n) => Math.max(peak, Math.abs((vocals?.[n] ?? Number.NaN) - 0.25 * sample)), 0);
    expect(20 * Math.log10(error)).toBeLessThan(-100);
  }
});
