import type { Peaks } from "./peaks.js";

/** What the painters need of a 2D context; both kinds of canvas give it. */
export type Surface = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** How much of the colour the peaks take; the RMS body inside them takes all of it. */
const PEAK_OPACITY = 0.38;

/**
 * Paints a waveform over the whole width: peaks pale, RMS solid, mirrored about the middle where the sound is. What has not come
 * yet is a thin line along the middle.
 * @param width lane width in CSS pixels
 * @param height lane height in CSS pixels
 * @param fullScale magnitude of a sample that reaches the lane's edge, above 0
 */
export function paintWaveform(surface: Surface, width: number, height: number, peaks: Peaks, fullScale: number, colour: string): void {
  const middle = height / 2;
  const reach = middle - 2;
  const perPixel = peaks.length / width;
  surface.fillStyle = colour;
  for (let x = 0; x < width; x += 1) {
    const first = Math.floor(x * perPixel);
    const last = Math.max(first + 1, Math.floor((x + 1) * perPixel));
    let low = 0;
    let high = 0;
    let squares = 0;
    let filled = 0;
    for (let entry = first; entry < last; entry += 1) {
      if (!peaks.filled[entry]) continue;
      filled += 1;
      low = Math.min(low, peaks.lowest[entry] ?? 0);
      high = Math.max(high, peaks.highest[entry] ?? 0);
      squares += peaks.meanSquare[entry] ?? 0;
    }
    if (filled === 0) {
      surface.globalAlpha = PEAK_OPACITY;
      surface.fillRect(x, middle - 0.5, 1, 1);
      continue;
    }
    const top = middle - Math.min(1, high / fullScale) * reach;
    const bottom = middle - Math.max(-1, low / fullScale) * reach;
    const body = Math.min(1, Math.sqrt(squares / filled) / fullScale) * reach;
    surface.globalAlpha = PEAK_OPACITY;
    surface.fillRect(x, top, 1, Math.max(1, bottom - top));
    surface.globalAlpha = 1;
    surface.fillRect(x, middle - body, 1, Math.max(1, 2 * body));
  }
  surface.globalAlpha = 1;
}
