/** A fingerprint of the open song, as the page shows it. */
export interface SongPrint {
  readonly hashes: number;
  readonly bytes: number;
  readonly peaks: PrintPeaks;
}

/** Spectral peaks: seconds and hertz of each. */
export interface PrintPeaks {
  readonly times: Float32Array;
  readonly frequencies: Float32Array;
}

/** The peaks in what `engine.inspect` tells of a fingerprint. */
export function peaksOf(inside: Readonly<Record<string, unknown>>): PrintPeaks {
  const layers = Array.isArray(inside.layers) ? (inside.layers as { peaks?: { time: number; frequency: number }[] }[]) : [];
  const peaks = layers.flatMap(({ peaks = [] }) => peaks);
  return {
    times: Float32Array.from(peaks, ({ time }) => time),
    frequencies: Float32Array.from(peaks, ({ frequency }) => frequency),
  };
}
