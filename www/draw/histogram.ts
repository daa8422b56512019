import type { Surface } from "./waveform.js";

/** Votes per offset: `counts[i]` votes for offsets from `start + i * step` seconds on. */
export interface OffsetHistogram {
  readonly start: number;
  readonly step: number;
  readonly counts: ArrayLike<number>;
}

/** Height of the highest count of each pixel column, in pixels, 1 px shown for every column that has a vote at all. */
export function histogramColumns(counts: ArrayLike<number>, width: number, height: number): number[] {
  const columns = new Array<number>(width).fill(0);
  let most = 1;
  for (let bin = 0; bin < counts.length; bin += 1) {
    const count = counts[bin] ?? 0;
    const first = Math.min(width - 1, Math.floor((bin * width) / counts.length));
    const last = Math.max(first + 1, Math.floor(((bin + 1) * width) / counts.length));
    for (let x = first; x < last && x < width; x += 1) columns[x] = Math.max(columns[x] ?? 0, count);
    most = Math.max(most, count);
  }
  return columns.map((count) => (count === 0 ? 0 : Math.max(1, Math.round((count / most) * height))));
}

/** Paints a histogram of offsets as bars standing on the bottom of the canvas. */
export function paintHistogram(surface: Surface, width: number, height: number, histogram: OffsetHistogram, colour: string): void {
  surface.fillStyle = colour;
  histogramColumns(histogram.counts, width, height).forEach((bar, x) => {
    surface.fillRect(x, height - bar, 1, bar);
  });
}
