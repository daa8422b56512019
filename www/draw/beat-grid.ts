import type { Surface } from "./waveform.js";

/** Beats and the downbeats among them, in seconds. */
export interface Grid {
  readonly beats: Float64Array;
  readonly downbeats: Float64Array;
}

/** Lines closer than this, in pixels, are a grey wash and not a grid: they are left out and the stronger kind alone is drawn. */
const CLOSEST_LINES = 5;

/** Where a time falls, in CSS pixels from the left of a lane. */
export function timeToX(seconds: number, duration: number, width: number): number {
  return (seconds / duration) * width;
}

/** Median distance of neighbouring lines in pixels; infinite for fewer than two. */
export function lineDistance(times: Float64Array, duration: number, width: number): number {
  const gaps = Array.from(times.subarray(1), (time, index) => time - (times[index] ?? 0)).sort((a, b) => a - b);
  const middle = gaps[Math.floor(gaps.length / 2)];
  return middle === undefined ? Number.POSITIVE_INFINITY : timeToX(middle, duration, width);
}

/**
 * Paints beats as thin lines and downbeats as stronger ones with a tick at the top.
 * @param duration length of the sound in seconds
 */
export function paintBeatGrid(surface: Surface, width: number, height: number, duration: number, grid: Grid, colour: string): void {
  surface.fillStyle = colour;
  if (lineDistance(grid.beats, duration, width) >= CLOSEST_LINES) {
    surface.globalAlpha = 0.25;
    for (const beat of grid.beats) surface.fillRect(Math.round(timeToX(beat, duration, width)), 0, 1, height);
  }
  surface.globalAlpha = 0.7;
  if (lineDistance(grid.downbeats, duration, width) >= CLOSEST_LINES) {
    for (const downbeat of grid.downbeats) {
      const x = Math.round(timeToX(downbeat, duration, width));
      surface.fillRect(x, 0, 1, height);
      surface.fillRect(x - 2, 0, 5, 4);
    }
  }
  surface.globalAlpha = 1;
}
