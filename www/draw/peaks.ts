/** Frames summarised by one entry: 5.8 ms at 44.1 kHz, finer than a pixel of a lane for any sound over 5 s. */
export const FRAMES_PER_PEAK = 256;

/**
 * Lowest and highest sample and mean square of each run of {@link FRAMES_PER_PEAK} frames over all channels, filled in any order.
 * It is what a waveform is painted from at any width.
 */
export class Peaks {
  /** Lowest sample per entry, -1..1 nominal. */
  readonly lowest: Float32Array;
  /** Highest sample per entry, -1..1 nominal. */
  readonly highest: Float32Array;
  /** Mean square per entry. */
  readonly meanSquare: Float32Array;
  /** 1 where samples have come. */
  readonly filled: Uint8Array;

  /** Largest magnitude of any sample so far. */
  largest = 0;

  /** @param frames length of the whole sound in frames */
  constructor(readonly frames: number) {
    const entries = Math.ceil(frames / FRAMES_PER_PEAK);
    this.lowest = new Float32Array(entries);
    this.highest = new Float32Array(entries);
    this.meanSquare = new Float32Array(entries);
    this.filled = new Uint8Array(entries);
  }

  /** Number of entries. */
  get length(): number {
    return this.filled.length;
  }

  /**
   * Takes samples in.
   * @param start first frame of the piece; an entry that two pieces share is summarised from both
   * @param channels planar samples, all of one length
   */
  add(start: number, channels: readonly Float32Array[]): void {
    const frames = channels[0]?.length ?? 0;
    let frame = 0;
    while (frame < frames) {
      const entry = Math.floor((start + frame) / FRAMES_PER_PEAK);
      if (entry >= this.length) return;
      const end = Math.min(frames, (entry + 1) * FRAMES_PER_PEAK - start);
      let low = this.filled[entry] ? (this.lowest[entry] ?? 0) : Number.POSITIVE_INFINITY;
      let high = this.filled[entry] ? (this.highest[entry] ?? 0) : Number.NEGATIVE_INFINITY;
      let squares = 0;
      for (const channel of channels) {
        for (let i = frame; i < end; i += 1) {
          const sample = channel[i] ?? 0;
          if (sample < low) low = sample;
          if (sample > high) high = sample;
          squares += sample * sample;
        }
      }
      this.largest = Math.max(this.largest, high, -low);
      this.lowest[entry] = low;
      this.highest[entry] = high;
      this.meanSquare[entry] = (this.meanSquare[entry] ?? 0) + squares / (channels.length * FRAMES_PER_PEAK);
      this.filled[entry] = 1;
      frame = end;
    }
  }
}
