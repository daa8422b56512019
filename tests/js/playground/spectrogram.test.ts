import { describe, expect, it } from "vitest";
import { frequencyToY } from "../../../www/draw/constellation.js";
import { Spectrogram, transform } from "../../../www/draw/spectrogram.js";

describe("the spectrogram", () => {
  it("its transform equals the direct sum", () => {
    const length = 16;
    const input = Float32Array.from({ length }, (_, n) => Math.sin(n * n) + (n % 3));
    const [real, imaginary] = [input.slice(), new Float32Array(length)];
    transform(real, imaginary);
    for (let k = 0; k < length; k++) {
      let [re, im] = [0, 0];
      for (const [n, value] of input.entries()) {
        re += value * Math.cos((2 * Math.PI * k * n) / length);
        im -= value * Math.sin((2 * Math.PI * k * n) / length);
      }
      expect(real[k]).toBeCloseTo(re, 4);
      expect(imaginary[k]).toBeCloseTo(im, 4);
    }
  });

  it("a tone is strongest where a peak of its frequency is drawn, whatever the rate and the pieces", () => {
    for (const rate of [8_000, 22_050, 44_100, 48_000]) {
      const frames = 4 * rate;
      const spectrogram = new Spectrogram(frames, rate);
      const tone = Float32Array.from({ length: frames }, (_, n) => Math.sin((2 * Math.PI * 1_500 * n) / rate));
      const cut = Math.round(frames / 3);
      spectrogram.add(cut, [tone.subarray(cut)]);
      spectrogram.add(0, [tone.subarray(0, cut)]);
      const [width, height] = [300, 128];
      for (const x of [20, 150, 280]) {
        const levels = Array.from({ length: height }, (_, y) => spectrogram.level(x, width, y, height));
        const strongest = levels.indexOf(Math.max(...levels));
        expect(Math.abs(strongest - frequencyToY(1_500, height))).toBeLessThanOrEqual(2);
        expect(levels[strongest]).toBeGreaterThan(0.9);
        expect(levels[10]).toBeLessThan(0.5);
      }
    }
  });

  it("silence is background", () => {
    const spectrogram = new Spectrogram(8_000, 8_000);
    spectrogram.add(0, [new Float32Array(8_000)]);
    expect(spectrogram.level(5, 10, 5, 10)).toBe(0);
  });
});
