import type { Surface } from "./waveform.js";

/** Columns over the whole sound, and rows from 0 Hz to {@link HIGHEST_HERTZ}: finer than a lane shows. */
const COLUMNS = 1_200;
const ROWS = 128;
/** Highest frequency shown: that of the fingerprint's peaks. */
export const HIGHEST_HERTZ = 4_000;
/** Samples of a transform at about 8 kHz, of which two bins make a row. */
const WINDOW = 512;
/** What is this much weaker than the strongest cell is background. */
const RANGE_DB = 50;

const hann = Float32Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW));

/** Power over time and frequency, a window per column, filled in any order. */
export class Spectrogram {
  /** Power per cell, column by column, from low to high. */
  readonly power = new Float32Array(COLUMNS * ROWS);
  /** Strongest cell so far. */
  largest = 0;

  /** @param frames length of the whole sound in frames */
  constructor(
    readonly frames: number,
    readonly sampleRate: number,
  ) {}

  /**
   * Takes samples in: the columns whose middle lies in the piece. What lies beyond its ends is taken for silence.
   * @param start first frame of the piece
   * @param channels planar samples, all of one length
   */
  add(start: number, channels: readonly Float32Array[]): void {
    const length = channels[0]?.length ?? 0;
    const step = Math.max(1, Math.round(this.sampleRate / (2 * HIGHEST_HERTZ)));
    const middle = (column: number) => ((column + 0.5) * this.frames) / COLUMNS;
    const first = Math.max(0, Math.ceil((start * COLUMNS) / this.frames - 0.5));
    const real = new Float32Array(WINDOW);
    const imaginary = new Float32Array(WINDOW);
    for (let column = first; column < COLUMNS && middle(column) < start + length; column += 1) {
      const from = Math.round(middle(column)) - start - (WINDOW * step) / 2;
      for (let n = 0; n < WINDOW; n += 1) {
        let sum = 0;
        for (let frame = from + n * step; frame < from + (n + 1) * step; frame += 1)
          if (frame >= 0 && frame < length) for (const channel of channels) sum += channel[Math.floor(frame)] ?? 0;
        real[n] = sum * (hann[n] ?? 0);
      }
      imaginary.fill(0);
      transform(real, imaginary);
      const perRow = (HIGHEST_HERTZ * WINDOW * step) / this.sampleRate / ROWS;
      for (let row = 0; row < ROWS; row += 1) {
        let most = 0;
        const last = Math.max(Math.floor(row * perRow) + 1, Math.floor((row + 1) * perRow));
        for (let bin = Math.floor(row * perRow); bin < last; bin += 1)
          most = Math.max(most, (real[bin] ?? 0) ** 2 + (imaginary[bin] ?? 0) ** 2);
        this.power[column * ROWS + row] = most;
        this.largest = Math.max(this.largest, most);
      }
    }
  }

  /** Level of the cell that a point of the picture lies in, 0 (background) to 1 (strongest). */
  level(x: number, width: number, y: number, height: number): number {
    const column = Math.min(COLUMNS - 1, Math.floor((x * COLUMNS) / width));
    const row = Math.min(ROWS - 1, Math.floor(((height - 1 - y) * ROWS) / height));
    const power = this.power[column * ROWS + row] ?? 0;
    if (power <= 0 || this.largest <= 0) return 0;
    return Math.max(0, 1 + (10 * Math.log10(power / this.largest)) / RANGE_DB);
  }
}

/** Fast Fourier transform in place, decimation in time (Cooley and Tukey 1965); the length is a power of two. */
export function transform(real: Float32Array, imaginary: Float32Array): void {
  const length = real.length;
  for (let index = 1, reversed = 0; index < length; index += 1) {
    let bit = length >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index >= reversed) continue;
    [real[index], real[reversed]] = [real[reversed] ?? 0, real[index] ?? 0];
    [imaginary[index], imaginary[reversed]] = [imaginary[reversed] ?? 0, imaginary[index] ?? 0];
  }
  for (let size = 2; size <= length; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k += 1) {
      const angle = (-2 * Math.PI * k) / size;
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      for (let even = k; even < length; even += size) {
        const odd = even + half;
        const re = (real[odd] ?? 0) * cosine - (imaginary[odd] ?? 0) * sine;
        const im = (real[odd] ?? 0) * sine + (imaginary[odd] ?? 0) * cosine;
        real[odd] = (real[even] ?? 0) - re;
        imaginary[odd] = (imaginary[even] ?? 0) - im;
        real[even] = (real[even] ?? 0) + re;
        imaginary[even] = (imaginary[even] ?? 0) + im;
      }
    }
  }
}

/** Shades of the colour, from background to all of it. */
const SHADES = 16;

/** Paints a spectrogram over the whole canvas: the stronger, the more of the colour. Cells of one shade are joined along a column. */
export function paintSpectrogram(surface: Surface, width: number, height: number, spectrogram: Spectrogram, colour: string): void {
  surface.fillStyle = colour;
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; ) {
      const shade = Math.floor(spectrogram.level(x, width, y, height) * SHADES);
      const from = y;
      do y += 1;
      while (y < height && Math.floor(spectrogram.level(x, width, y, height) * SHADES) === shade);
      if (shade === 0) continue;
      surface.globalAlpha = shade / SHADES;
      surface.fillRect(x, from, 1, y - from);
    }
  }
  surface.globalAlpha = 1;
}
