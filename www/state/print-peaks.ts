/** A fingerprint of the open song, as the page shows it. */
export interface SongPrint {
  readonly hashes: number;
  readonly bytes: number;
  readonly peaks: PrintPeaks;
  /** Which peaks are paired; found out when first asked for. */
  readonly pairs: () => Promise<PrintPairs>;
}

/** Spectral peaks: seconds and hertz of each. */
export interface PrintPeaks {
  readonly times: Float32Array;
  readonly frequencies: Float32Array;
}

/** What `engine.inspect` tells of a fingerprint. */
type Inside = Readonly<Record<string, unknown>>;

/** A pair of peaks that a catalogue stores, in the words of `engine.inspect`. */
interface Landmark {
  readonly time: number;
  readonly frequency: number;
  readonly targetTime: number;
  readonly targetFrequency: number;
}

/**
 * How far a peak may lie from the place that a landmark gives it: a frame (16 ms), half a bin (3.9 Hz), and a little. Two peaks are never
 * that close.
 */
const NEAR = { seconds: 0.017, hertz: 4.5 };

/** The peaks in what `engine.inspect` tells of a fingerprint. */
export function peaksOf(inside: Inside): PrintPeaks {
  const peaks = listOf<{ time: number; frequency: number }>(inside, "peaks");
  return {
    times: Float32Array.from(peaks, ({ time }) => time),
    frequencies: Float32Array.from(peaks, ({ frequency }) => frequency),
  };
}

/** Which peaks the stored landmarks pair. */
export class PrintPairs {
  readonly #targets = new Map<number, number[]>();

  /** @param inside what `engine.inspect` tells of the fingerprint with its hashes */
  constructor(inside: Inside, peaks: PrintPeaks) {
    for (const landmark of listOf<Partial<Landmark>>(inside, "hashes")) {
      if (!isLandmark(landmark)) continue;
      const anchor = peakAt(peaks, landmark.time, landmark.frequency);
      const target = peakAt(peaks, landmark.targetTime, landmark.targetFrequency);
      if (anchor === undefined || target === undefined) continue;
      const targets = this.#targets.get(anchor);
      if (targets) targets.push(target);
      else this.#targets.set(anchor, [target]);
    }
  }

  /** Positions of the peaks that come second in pairs with this one. */
  targetsOf(peak: number): readonly number[] {
    return this.#targets.get(peak) ?? [];
  }
}

function listOf<T>(inside: Inside, name: "peaks" | "hashes"): T[] {
  const layers = Array.isArray(inside.layers) ? (inside.layers as Partial<Record<typeof name, T[]>>[]) : [];
  return layers.flatMap((layer) => layer[name] ?? []);
}

/** Hashes of other algorithms have no second place. */
function isLandmark(hash: Partial<Landmark>): hash is Landmark {
  return hash.targetTime !== undefined;
}

/** Position of the peak at a place; peaks are in the order of their times. */
function peakAt({ times, frequencies }: PrintPeaks, time: number, frequency: number): number | undefined {
  let from = 0;
  for (let to = times.length; from < to; ) {
    const middle = (from + to) >> 1;
    if ((times[middle] ?? 0) < time - NEAR.seconds) from = middle + 1;
    else to = middle;
  }
  for (let index = from; index < times.length && (times[index] ?? 0) <= time + NEAR.seconds; index += 1)
    if (Math.abs((frequencies[index] ?? 0) - frequency) <= NEAR.hertz) return index;
  return undefined;
}
