import { timeToX } from "./beat-grid.js";
import { HIGHEST_HERTZ } from "./spectrogram.js";
import type { Surface } from "./waveform.js";

/** Spectral peaks: seconds and hertz of each. */
export interface Constellation {
  readonly times: ArrayLike<number>;
  readonly frequencies: ArrayLike<number>;
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
