import { createEngine } from "otolith";
import { expect, test } from "vitest";
import { Desk } from "../../../www/draw/desk.js";
import { PrintPairs, peaksOf } from "../../../www/state/print-peaks.js";
import { melody } from "../signal.js";

test("every landmark that the engine tells of is a pair of two of its peaks, at most two for a peak", async () => {
  const engine = await createEngine({ workers: 1 });
  const print = await engine.fingerprint({ channels: [melody(20, 22_050, 3)], sampleRate: 22_050 });
  const inside = await engine.inspect(print.bytes(), { peaks: 10_000, hashes: 10_000 });
  await engine.dispose();
  const peaks = peaksOf(inside);
  const pairs = new PrintPairs(inside, peaks);
  const [layer] = inside.layers as { hashes: { time: number; anchorBin: number; binStep: number; frameStep: number }[] }[];
  const drawn = Array.from(peaks.times, (_, peak) => pairs.targetsOf(peak).map((target) => [peak, target] as const)).flat();
  expect(drawn).toHaveLength(print.hashCount);
  expect(print.hashCount).toBeGreaterThan(200);
  // The same pairs in the numbers of the hashes themselves: frames of 16 ms and bins of 7.8125 Hz (8 kHz, 1024 samples, hop 128).
  const frame = (peak: number) => Math.floor((peaks.times[peak] ?? 0) / 0.016 + 0.5 + 1e-4);
  const bin = (peak: number) => Math.floor((peaks.frequencies[peak] ?? 0) / 7.8125 + 0.5 + 1e-4);
  const step = (anchor: number, target: number) =>
    Math.floor(((peaks.times[target] ?? 0) - (peaks.times[anchor] ?? 0)) / 0.016 + 0.5 + 1e-4);
  const asHash = ([anchor, target]: readonly [number, number]) =>
    [frame(anchor), bin(anchor), bin(target) - bin(anchor), step(anchor, target)].join(" ");
  const told = layer?.hashes.map(({ time, anchorBin, binStep, frameStep }) =>
    [Math.round(time / 0.016), anchorBin, binStep, frameStep].join(" "),
  );
  expect(drawn.map(asHash).sort()).toEqual(told?.sort());
  expect(Math.max(...Array.from(peaks.times, (_, peak) => pairs.targetsOf(peak).length))).toBe(2);
});

test("hashes of other algorithms are no pairs", () => {
  const inside = {
    layers: [{ peaks: [{ time: 1, frequency: 440 }], hashes: [{ hash: 1, time: 1, ratio: 0.5, firstStep: 2, secondStep: 4, band: 8 }] }],
  };
  expect(new PrintPairs(inside, peaksOf(inside)).targetsOf(0)).toEqual([]);
});

test("a peak is painted with a line to each that it is paired with, where the constellation has them", () => {
  const lines: number[][] = [];
  let from: number[] = [];
  const surface = {
    scale() {},
    beginPath() {},
    stroke() {},
    strokeRect() {},
    fillRect() {},
    moveTo(x: number, y: number) {
      from = [x, y];
    },
    lineTo(x: number, y: number) {
      lines.push([...from, x, y]);
    },
  };
  const desk = new Desk((repaint) => repaint());
  const canvas = { width: 0, height: 0, getContext: () => surface } as unknown as OffscreenCanvas;
  desk.take({ kind: "attach", picture: 0, canvas });
  desk.take({ kind: "colours", picture: 0, colours: { picture: "grey", grid: "black", mark: "teal" } });
  desk.take({ kind: "size", picture: 0, width: 200, height: 100, pixelRatio: 1 });
  const targets = { times: [6, 7.5], frequencies: [1000, 3000] };
  desk.take({ kind: "pairs", picture: 0, pairs: { time: 5, frequency: 2000, targets, duration: 10 } });
  expect(lines).toEqual([
    [100, 50, 120, 75],
    [100, 50, 150, 25],
  ]);
  lines.length = 0;
  desk.take({ kind: "pairs", picture: 0, pairs: null });
  expect(lines).toEqual([]);
});
