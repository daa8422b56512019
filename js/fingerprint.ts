import { SOUND_OPTIONS, type SoundOptions, soundJob, type Workshop } from "./analysis.js";
import type { AudioInput } from "./audio-input.js";
import type { Job } from "./job.js";
import { OptionReader } from "./options.js";
import type { FingerprintSettings, PrintData } from "./worker/protocol.js";

/**
 * Fingerprint algorithms. `wang`: pairs of spectral peaks (Wang 2003), for noise and lossy coding. `panako`: triples of peaks of a
 * constant-Q spectrum (Six and Leman 2014), also for another tempo, pitch or speed. `haitsma`: 32 bits every 11.6 ms (Haitsma and Kalker
 * 2002), for strong lossy coding.
 */
export type FingerprintAlgorithm = "wang" | "panako" | "haitsma";

/** All of them. @internal */
export const ALGORITHMS = ["wang", "panako", "haitsma"] as const satisfies readonly FingerprintAlgorithm[];

/** How densely an algorithm samples a sound. */
export type FingerprintProfile = (typeof PROFILES)[number];

const PROFILES = ["default", "dense", "large", "paper", "5k"] as const;
/** The algorithm that has each but `default`. */
const OWNERS = { dense: "wang", large: "wang", paper: "haitsma", "5k": "haitsma" } as const;

/** What decides a fingerprint's content. */
export interface ExtractionOptions {
  /** Default `wang`. */
  readonly algorithm?: FingerprintAlgorithm;
  /**
   * Of `wang`: `dense` finds more in noise, `large` suits millions of tracks. Of `haitsma`: `paper` is the procedure of 2002, `5k` the grid of
   * the Rust crate audiofp. Prints of two profiles do not match. Default `default`.
   */
  readonly profile?: FingerprintProfile;
  /** What becomes of several channels: their mean (default), a print of each, or of middle and side (stereo only). */
  readonly mix?: "mean" | "each" | "mid-side";
  /** Level in dBFS of RMS, -100..-20, below which nothing is found, such as -60. Default `false`: everything is listened to. */
  readonly silence?: number | false;
}

/** Options of `engine.fingerprint`. */
export interface FingerprintOptions extends ExtractionOptions, SoundOptions {}

/** Names of {@link ExtractionOptions}. @internal */
export const EXTRACTION_OPTIONS = ["algorithm", "profile", "mix", "silence"] as const;

/** A fingerprint of a sound: what a catalogue enrols and is asked for. */
export class Fingerprint {
  /** Name of the algorithm. */
  readonly algorithm: string;
  /** Name of the profile. */
  readonly profile: FingerprintProfile;
  /** Length of the sound, in seconds. */
  readonly duration: number;
  /** Hashes it enrols with. 0 for silence. */
  readonly hashCount: number;
  /** What is doubtful about it, a word each, such as `channels-cancel`. */
  readonly warnings: readonly string[];
  readonly #bytes: Uint8Array<ArrayBuffer>;

  /** @internal Made by `engine.fingerprint`. */
  constructor({ algorithm, profile, duration, hashCount, warnings, bytes }: PrintData) {
    this.algorithm = algorithm;
    this.profile = profile;
    this.duration = duration;
    this.hashCount = hashCount;
    this.warnings = warnings;
    this.#bytes = bytes;
  }

  /** A copy of its bytes, to store or send. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice();
  }
}

/** @internal */
export function fingerprint(workshop: Workshop, input: AudioInput, options: FingerprintOptions | undefined): Job<Fingerprint> {
  const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, ...EXTRACTION_OPTIONS]);
  const params = { options: readExtraction(reader) };
  return soundJob(workshop, input, reader, { method: "fingerprint", params, finish: (print) => new Fingerprint(print) });
}

/** Checks the options that decide a print's content. @internal */
export function readExtraction(reader: OptionReader): FingerprintSettings {
  const algorithm = reader.oneOf("algorithm", ALGORITHMS);
  const profile = reader.oneOf("profile", PROFILES);
  const mix = reader.oneOf("mix", ["mean", "each", "mid-side"] as const);
  if (profile !== undefined && profile !== "default" && OWNERS[profile] !== (algorithm ?? "wang"))
    throw reader.wrong("profile", `"default" or left out with algorithm ${algorithm ?? "wang"}`);
  const silence = reader.any("silence") === false ? undefined : reader.number("silence", { min: -100, max: -20 });
  return {
    ...(algorithm !== undefined && { algorithm }),
    ...(profile !== undefined && { profile }),
    ...(mix !== undefined && { mix }),
    ...(silence !== undefined && { silence }),
  };
}
