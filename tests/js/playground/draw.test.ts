import { expect, test } from "vitest";
import { lineDistance, paintBeatGrid, timeToX } from "../../../www/draw/beat-grid.js";
import { Desk } from "../../../www/draw/desk.js";
import { histogramColumns } from "../../../www/draw/histogram.js";
import { FRAMES_PER_PEAK, Peaks } from "../../../www/draw/peaks.js";
import { paintWaveform, type Surface } from "../../../www/draw/waveform.js";

interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
  alpha: number;
}

/** A surface that remembers the rectangles it was asked for. */
function recordingSurface(): { surface: Surface; rects: Rect[] } {
  const rects: Rect[] = [];
  const surface = {
    fillStyle: "",
    globalAlpha: 1,
    fillRect(x: number, y: number, width: number, height: number) {
      rects.push({ x, y, width, height, alpha: this.globalAlpha });
    },
    scale() {},
  };
  return { surface: surface as unknown as Surface, rects };
}

/** A sine of one amplitude. */
function sine(frames: number, amplitude: number): Float32Array {
  return Float32Array.from({ length: frames }, (_, index) => amplitude * Math.sin((2 * Math.PI * index) / 64));
}

test("peaks of a sine are its amplitude and its mean square is half the amplitude squared", () => {
  const peaks = new Peaks(4 * FRAMES_PER_PEAK);
  peaks.add(0, [sine(4 * FRAMES_PER_PEAK, 0.8)]);
  for (let entry = 0; entry < 4; entry += 1) {
    expect(peaks.highest[entry]).toBeCloseTo(0.8, 6);
    expect(peaks.lowest[entry]).toBeCloseTo(-0.8, 6);
    expect(peaks.meanSquare[entry]).toBeCloseTo(0.32, 6);
  }
});

test("peaks do not depend on how the sound is cut", () => {
  const sound = Float32Array.from({ length: 5000 }, (_, index) => Math.sin(index * index));
  const whole = new Peaks(sound.length);
  whole.add(0, [sound]);
  for (const size of [1, 127, 255, 256, 1000, 4999]) {
    const cut = new Peaks(sound.length);
    for (let start = 0; start < sound.length; start += size) cut.add(start, [sound.subarray(start, start + size)]);
    expect(cut.lowest).toEqual(whole.lowest);
    expect(cut.highest).toEqual(whole.highest);
    cut.meanSquare.forEach((value, entry) => {
      expect(value).toBeCloseTo(whole.meanSquare[entry] ?? Number.NaN, 5);
    });
  }
});

test("peaks take the extremes over all channels and ignore what lies past the end", () => {
  const peaks = new Peaks(FRAMES_PER_PEAK);
  peaks.add(0, [sine(2 * FRAMES_PER_PEAK, 0.25), sine(2 * FRAMES_PER_PEAK, 0.5)]);
  expect(peaks.length).toBe(1);
  expect(peaks.highest[0]).toBeCloseTo(0.5, 6);
});

test("a waveform fills a column where samples have come and a thin line where not", () => {
  const peaks = new Peaks(100 * FRAMES_PER_PEAK);
  peaks.add(0, [sine(50 * FRAMES_PER_PEAK, 1)]);
  const { surface, rects } = recordingSurface();
  paintWaveform(surface, 100, 72, peaks, 1, "red");
  const tallest = (x: number) => Math.max(...rects.filter((rect) => rect.x === x).map((rect) => rect.height));
  for (let x = 0; x < 50; x += 1) expect(tallest(x)).toBeCloseTo(68, 3);
  for (let x = 50; x < 100; x += 1) expect(tallest(x)).toBe(1);
});

test("a quiet sound fills the lane, and its stems keep their share of it", () => {
  const repaints: (() => void)[] = [];
  const desk = new Desk((repaint) => repaints.push(repaint));
  const rectsOf = [1, 2].map((picture) => {
    const { surface, rects } = recordingSurface();
    desk.take({ kind: "attach", picture, canvas: { width: 0, height: 0, getContext: () => surface } as unknown as OffscreenCanvas });
    desk.take({ kind: "size", picture, width: 10, height: 72, pixelRatio: 1 });
    desk.take({ kind: "colours", picture, colours: { picture: "red", grid: "black", mark: "#00f" } });
    desk.take({ kind: "sound", picture, frames: 2560, sampleRate: 44100, scaledAs: 1 });
    desk.take({ kind: "samples", picture, start: 0, channels: [sine(2560, picture === 1 ? 0.1 : 0.05)] });
    return rects;
  });
  for (const repaint of repaints) repaint();
  const [song, stem] = rectsOf.map((rects) => Math.max(...rects.map(({ height }) => height)));
  expect(song).toBeCloseTo(68, 3);
  expect(stem).toBeCloseTo(34, 3);
});

test("beat lines stand where the beats are, downbeats stronger", () => {
  const beats = Float64Array.from({ length: 16 }, (_, index) => 0.25 + index * 0.5);
  const downbeats = beats.filter((_, index) => index % 4 === 0);
  const { surface, rects } = recordingSurface();
  paintBeatGrid(surface, 800, 72, 8.25, { beats, downbeats }, "black");
  const lines = rects.filter((rect) => rect.width === 1 && rect.height === 72);
  for (const beat of beats) {
    const x = (beat / 8.25) * 800;
    const near = lines.filter((line) => Math.abs(line.x - x) <= 1);
    const strength = Math.max(...near.map((line) => line.alpha));
    expect(strength).toBe(downbeats.includes(beat) ? 0.7 : 0.25);
  }
  expect(lines).toHaveLength(beats.length + downbeats.length);
});

test("beats too close to be told apart are left to the downbeats", () => {
  const beats = Float64Array.from({ length: 400 }, (_, index) => index * 0.4);
  const downbeats = beats.filter((_, index) => index % 4 === 0);
  expect(lineDistance(beats, 160, 800)).toBeCloseTo(2, 6);
  const { surface, rects } = recordingSurface();
  paintBeatGrid(surface, 800, 72, 160, { beats, downbeats }, "black");
  expect(rects.filter((rect) => rect.height === 72)).toHaveLength(downbeats.length);
});

test("an empty grid draws nothing", () => {
  const { surface, rects } = recordingSurface();
  paintBeatGrid(surface, 800, 72, 10, { beats: new Float64Array(), downbeats: new Float64Array() }, "black");
  expect(rects).toEqual([]);
  expect(timeToX(5, 10, 800)).toBe(400);
});

test.each([40, 60, 200])("the highest bar of a histogram of 60 bins over %i pixels is at its highest bin", (width) => {
  const counts = Array.from({ length: 60 }, (_, bin) => (bin === 24 ? 213 : bin % 5));
  const columns = histogramColumns(counts, width, 48);
  const highest = columns.indexOf(Math.max(...columns));
  expect(Math.abs((highest + 0.5) / width - 24.5 / 60)).toBeLessThanOrEqual(1 / width + 0.5 / 60);
  expect(Math.max(...columns)).toBe(48);
});

test("the desk repaints once for many messages that came together", () => {
  const repaints: (() => void)[] = [];
  const desk = new Desk((repaint) => repaints.push(repaint));
  const { surface, rects } = recordingSurface();
  const canvas = { width: 0, height: 0, getContext: () => surface } as unknown as OffscreenCanvas;
  desk.take({ kind: "attach", picture: 1, canvas });
  desk.take({ kind: "size", picture: 1, width: 10, height: 20, pixelRatio: 2 });
  desk.take({ kind: "colours", picture: 1, colours: { picture: "red", grid: "black", mark: "#00f" } });
  desk.take({ kind: "sound", picture: 1, frames: 2560, sampleRate: 44100, scaledAs: 1 });
  desk.take({ kind: "samples", picture: 1, start: 0, channels: [sine(2560, 0.5)] });
  desk.take({ kind: "samples", picture: 2, start: 0, channels: [sine(10, 0.5)] });
  expect(repaints).toHaveLength(1);
  repaints[0]?.();
  expect(canvas.width).toBe(20);
  expect(canvas.height).toBe(40);
  expect(rects.length).toBeGreaterThanOrEqual(10);
});
