import { callOptions, openSound, SOUND_OPTIONS, type SoundOptions } from "./analysis.js";
import { type AudioInput, holdInput } from "./audio-input.js";
import { type BeatWorkshop, loadNetwork } from "./beat-network.js";
import { OtolithError } from "./errors.js";
import { Job, type JobContext, readJobOptions } from "./job.js";
import { OptionReader } from "./options.js";
import type { FingerprintSettings, PrintData } from "./worker/protocol.js";

/**
 * Fingerprint algorithms. `wang`: pairs of spectral peaks (Wang 2003), for noise and lossy coding. `panako`: triples of peaks of a
 * constant-Q spectrum (Six and Leman 2014), also for another tempo, pitch or speed. `haitsma`: 32 bits every 11.6 ms (Haitsma and Kalker
 * 2002), for strong lossy coding. `neural`: embeddings of a second by a trained network (after Chang et al. 2021), for short clips in
 * noise; `neural.wasm` and the network are fetched when it is first asked for.
 */
export type FingerprintAlgorithm = "wang" | "panako" | "haitsma" | "neural";

/** All of them. @internal */
export const ALGORITHMS = ["wang", "panako", "haitsma", "neural"] as const satisfies readonly FingerprintAlgorithm[];

/** How densely an algorithm samples a sound. */
export type FingerprintProfile = (typeof PROFILES)[number];

const PROFILES = ["default", "dense", "large", "paper", "5k"] as const;
/** The algorithms that have each but `default`. */
const OWNERS: Readonly<Record<Exclude<FingerprintProfile, "default">, readonly FingerprintAlgorithm[]>> = {
  dense: ["wang", "neural"],
  large: ["wang"],
  paper: ["haitsma"],
  "5k": ["haitsma"],
};

/** What decides a fingerprint's content. */
export interface ExtractionOptions {
  /** Default `wang`. */
  readonly algorithm?: FingerprintAlgorithm;
  /**
   * Of `wang`: `dense` finds more in noise, `large` suits millions of tracks. Of `neural`: `dense` finds more of clips of a second, in twice the
   * bytes. Of `haitsma`: `paper` is the procedure of 2002, `5k` the grid of the Rust crate audiofp. Prints of two profiles do not match. Default
   * `default`.
   */
  readonly profile?: FingerprintProfile;
  /** What becomes of several channels: their mean (default), a print of each, or of middle and side (stereo only). */
  readonly mix?: "mean" | "each" | "mid-side";
  /** Level in dBFS of RMS, -100..-20, below which nothing is found, such as -60. Default `false`: everything is listened to. */
  readonly silence?: number | false;
  /**
   * For `neural`: name of the network, of kind `embedder`, in the `models` of `createEngine` or shipped. Default: the first that there is.
   * Fingerprints of two networks do not match.
   */
  readonly model?: string;
  /** For `neural`: windows of a second, four of which begin every second, that the network is given at once, 1..64. Default 16. */
  readonly batch?: number;
}

/** Options of `engine.fingerprint`. */
export interface FingerprintOptions extends ExtractionOptions, SoundOptions {}

/** Names of {@link ExtractionOptions}. @internal */
export const EXTRACTION_OPTIONS = ["algorithm", "profile", "mix", "silence", "model", "batch"] as const;

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
export function fingerprint(workshop: BeatWorkshop, input: AudioInput, options: FingerprintOptions | undefined): Job<Fingerprint> {
  const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, ...EXTRACTION_OPTIONS]);
  const settings = readExtraction(reader);
  const jobOptions = readJobOptions(reader);
  // The input last: a wrong option must not cost the caller a transferred buffer.
  const held = holdInput(input, reader);
  const work = (job: JobContext) =>
    workshop.analyses.run(async () => {
      job.started();
      return new Fingerprint(await extract(workshop, held, settings, job));
    }, job.signal);
  return new Job(work, jobOptions);
}

/** The print of a held input, by the network that algorithm `neural` needs. @internal */
export async function extract(
  workshop: BeatWorkshop,
  held: ReturnType<typeof holdInput>,
  { model, ...options }: ExtractionSettings,
  job: JobContext,
): Promise<PrintData> {
  const { algorithm = "wang" } = options;
  if (algorithm !== "neural" && model !== undefined)
    throw new OtolithError("invalid-input", `options.model is for algorithm neural, not ${algorithm}: leave it out`);
  const sound = await openSound(workshop, held, job);
  const call = callOptions(job, sound);
  if (algorithm !== "neural") return workshop.core.use(job.signal, (link) => link.call("fingerprint", { ...sound, options }, call));
  const network = await workshop.core.use(job.signal, (home) => workshop.models.fetchEmbedder(model, home, job));
  await workshop.wasm.module("neural", (done, total) => job.report("download", done, total));
  return workshop.neural.use(job.signal, async (link) => {
    await loadNetwork(link, network, job.signal);
    return link.call("fingerprint", { ...sound, options, model: network.key }, call);
  });
}

/** What Rust reads, and the name of a network. @internal */
export interface ExtractionSettings extends FingerprintSettings {
  readonly model?: string;
}

/** Checks the options that decide a print's content. @internal */
export function readExtraction(reader: OptionReader): ExtractionSettings {
  const algorithm = reader.oneOf("algorithm", ALGORITHMS);
  const profile = reader.oneOf("profile", PROFILES);
  const mix = reader.oneOf("mix", ["mean", "each", "mid-side"] as const);
  if (profile !== undefined && profile !== "default" && !OWNERS[profile].includes(algorithm ?? "wang"))
    throw reader.wrong("profile", `"default" or left out with algorithm ${algorithm ?? "wang"}`);
  const silence = reader.any("silence") === false ? undefined : reader.number("silence", { min: -100, max: -20 });
  const model = reader.string("model");
  const batch = reader.number("batch", { min: 1, max: 64, whole: true });
  return {
    ...(model !== undefined && { model }),
    ...(batch !== undefined && { batch }),
    ...(algorithm !== undefined && { algorithm }),
    ...(profile !== undefined && { profile }),
    ...(mix !== undefined && { mix }),
    ...(silence !== undefined && { silence }),
  };
}
