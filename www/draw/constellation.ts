import { timeToX } from "./beat-grid.js";
import { HIGHEST_HERTZ } from "./spectrogram.js";
import type { Surface } from "./waveform.js";

/** Spectral peaks: seconds and hertz of each. */
export interface Constellation {
  readonly times: ArrayLike<number>;
  readonly frequencies: ArrayLike<number>;
}

/** A peak, those it is paired with, and the length of the sound in seconds. */
export interface Pairs {
  readonly time: number;
  readonly frequency: number;
  readonly targets: Constellation;
  readonly duration: number;
}

/** Side of a peak's square, in pixels. */
const SIDE = 2;

/** Where a frequency falls, in pixels from the top of a lane. */
export function frequencyToY(hertz: number, height: number): number {
  return height * (1 - hertz / HIGHEST_HERTZ);
}

/** Paints the peaks of a fingerprint as small squares where they are in time and frequency. */
export function paintConstellation(
  surface: Surface,
  width: number,
  height: number,
  duration: number,
  { times, frequencies }: Constellation,
  colour: string,
): void {
  surface.fillStyle = colour;
  for (let index = 0; index < times.length; index += 1) {
    const x = Math.round(timeToX(times[index] ?? 0, duration, width) - SIDE / 2);
    const y = Math.round(frequencyToY(frequencies[index] ?? 0, height) - SIDE / 2);
    surface.fillRect(x, y, SIDE, SIDE);
  }
}

/** Sides of the squares about a peak and those that it is paired with, in pixels. */
const ANCHOR_SIDE = 9;
const TARGET_SIDE = 5;

/** Paints a peak as an open square, and lines from it to those that it is paired with. */
export function paintPairs(
  surface: Surface,
  width: number,
  height: number,
  { time, frequency, targets, duration }: Pairs,
  colour: string,
): void {
  const [x, y] = [timeToX(time, duration, width), frequencyToY(frequency, height)];
  surface.strokeStyle = colour;
  surface.fillStyle = colour;
  surface.lineWidth = 1.5;
  surface.strokeRect(x - ANCHOR_SIDE / 2, y - ANCHOR_SIDE / 2, ANCHOR_SIDE, ANCHOR_SIDE);
  surface.beginPath();
  for (let index = 0; index < targets.times.length; index += 1) {
    const [toX, toY] = [timeToX(targets.times[index] ?? 0, duration, width), frequencyToY(targets.frequencies[index] ?? 0, height)];
    surface.moveTo(x, y);
    surface.lineTo(toX, toY);
    surface.fillRect(toX - TARGET_SIDE / 2, toY - TARGET_SIDE / 2, TARGET_SIDE, TARGET_SIDE);
  }
  surface.stroke();
}
