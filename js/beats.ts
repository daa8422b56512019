import { callOptions, type DecodedAudio, openSound, SOUND_OPTIONS, type SoundOptions, soundJob, type Workshop } from "./analysis.js";
import { type AudioInput, holdInput } from "./audio-input.js";
import {
  type BeatMethod,
  type BeatNetwork,
  type BeatNotice,
  type BeatWorkshop,
  findNetwork,
  loadNetwork,
  noticeOf,
} from "./beat-network.js";
import { Job, type JobContext, readJobOptions } from "./job.js";
import { OptionReader, show } from "./options.js";
import type { SoundInput } from "./worker/protocol.js";

/** How beats are looked for. */
export interface BeatSettings {
  /**
   * `flux` (default): spectral flux and dynamic programming, which needs no model; `tcn`: a trained network and a Bayesian tracker; `auto`:
   * the network if it can be had, else flux. The result says which it was, and why. The network is not the default as long as it is weaker
   * on downbeats and on slow pieces.
   */
  readonly method?: BeatMethod;
  /** Slowest tempo considered, beats per minute, 30..300. Default 55. */
  readonly minBpm?: number;
  /** Fastest tempo considered, beats per minute, 30..300, at least 1.5 times `minBpm`. Default 215. */
  readonly maxBpm?: number;
  /** Beats per bar considered. Default [2, 3, 4, 6]. */
  readonly meters?: readonly number[];
  /** Whether downbeats are sought. Default true. */
  readonly downbeats?: boolean;
  /** How firmly the Bayesian tracker keeps a tempo from beat to beat, 1..1000. Default 100. */
  readonly transitionLambda?: number;
  /** Parts of a beat of which the first is where the Bayesian tracker expects its onset, 2..64. Default 16. */
  readonly observationLambda?: number;
  /** Activation of the network below which there is no beat, 0..1. Default 0.05. */
  readonly threshold?: number;
}

/** Options of `engine.beats`. */
export interface BeatOptions extends BeatSettings, SoundOptions {}

/** Where the beats of a sound are. Times are in seconds from its first sample. */
export interface BeatTrack {
  /** Times of the beats, rising. */
  readonly beats: Float64Array;
  /** Times of the beats that begin a bar; empty where no meter was found. */
  readonly downbeats: Float64Array;
  /** The tempo of the whole. */
  readonly tempo: Tempo;
  /** The bar; null where none was found. */
  readonly meter: { readonly beatsPerBar: number; readonly confidence: number } | null;
  /** What the beats were found by. */
  readonly method: "tcn" | "flux";
  /** The network that found them; null by flux. */
  readonly model: { readonly name: string; readonly version: string } | null;
  /** Why `auto` used flux; null if there is nothing to say. */
  readonly notice: BeatNotice | null;
}

/** A tempo and how sure it is. */
export interface Tempo {
  /** Beats per minute; null where none is known, as in silence. */
  readonly bpm: number | null;
  /** 0..1. Low where half or double the tempo is as likely. */
  readonly confidence: number;
  /** Other readings of the same rhythm, most likely first. */
  readonly alternatives: readonly { readonly bpm: number; readonly confidence: number }[];
  /** Time of the first beat of the steady grid, in seconds, 0 up to one beat. */
  readonly phase: number;
  /** Whether one tempo fits the whole. */
  readonly steady: boolean;
  /** Slowest and fastest tempo on the way; null where no tempo is known. */
  readonly range: readonly [number, number] | null;
}

const BPM = { min: 30, max: 300, unit: "beats per minute" };

/** Names of {@link BeatSettings}. @internal */
export const TRACKING_OPTIONS = [
  "method",
  "minBpm",
  "maxBpm",
  "meters",
  "downbeats",
  "transitionLambda",
  "observationLambda",
  "threshold",
] as const;

/** @internal */
export function readBeatSettings(reader: OptionReader): BeatSettings & { readonly method: BeatMethod } {
  const settings = {
    method: reader.oneOf("method", ["auto", "tcn", "flux"] as const),
    minBpm: reader.number("minBpm", BPM),
    maxBpm: reader.number("maxBpm", BPM),
    meters: readMeters(reader),
    downbeats: reader.boolean("downbeats"),
    transitionLambda: reader.number("transitionLambda", { min: 1, max: 1000 }),
    observationLambda: reader.number("observationLambda", { min: 2, max: 64 }),
    threshold: reader.number("threshold", { min: 0, max: 1 }),
  };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { method: "flux", ...Object.fromEntries(given) };
}

/** @internal */
export function beats(workshop: BeatWorkshop, input: AudioInput, options: BeatOptions | undefined): Job<BeatTrack> {
  const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, ...TRACKING_OPTIONS]);
  const settings = readBeatSettings(reader);
  const jobOptions = readJobOptions(reader);
  // The input last: a wrong option must not cost the caller a transferred buffer.
  const held = holdInput(input, reader);
  return new Job(
    (job) =>
      workshop.analyses.run(async () => {
        job.started();
        const sound = await openSound(workshop, held, job);
        const found = await findNetwork(workshop, "beat-activations", settings.method, job);
        return track(workshop, sound, settings, found, job);
      }, job.signal),
    jobOptions,
  );
}

async function track(
  workshop: BeatWorkshop,
  sound: SoundInput,
  settings: ReturnType<typeof readBeatSettings>,
  found: BeatNetwork,
  job: JobContext,
): Promise<BeatTrack> {
  const options = callOptions(job, sound);
  let notice = "notice" in found ? found.notice : undefined;
  if ("network" in found) {
    const { network } = found;
    const outcome = await workshop.neural.use(job.signal, async (link) => {
      // Before the sound is handed over: flux may still need it.
      try {
        job.report("load", 0, 1);
        await loadNetwork(link, network, job.signal);
        job.report("load", 1, 1);
      } catch (thrown) {
        return noticeOf(thrown, settings.method);
      }
      return link.call("beats", { ...sound, options: settings, model: network.key }, options);
    });
    if (typeof outcome !== "string") return outcome;
    notice = outcome;
  }
  return workshop.core.use(job.signal, (link) => link.call("beats", { ...sound, options: settings, ...(notice && { notice }) }, options));
}

function readMeters(reader: OptionReader): readonly number[] | undefined {
  const value = reader.any("meters");
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.length > 0 && value.every((meter) => Number.isInteger(meter) && meter >= 1)) return [...value];
  throw new TypeError(
    `${reader.path("meters")} must be a list of whole numbers of beats per bar, got ${Array.isArray(value) ? `[${value}]` : show(value)}`,
  );
}

/** Options of `engine.clickTrack`. */
export interface ClickTrackOptions extends SoundOptions {
  /** Amplitude of the clicks, -60..0 dBFS. Default -6. */
  readonly gain?: number;
  /** Whether the sound is under the clicks; false gives the clicks alone, in one channel. Default true. */
  readonly mix?: boolean;
}

/** @internal */
export function clickTrack(
  workshop: Workshop,
  input: AudioInput,
  track: Pick<BeatTrack, "beats" | "downbeats">,
  options: ClickTrackOptions | undefined,
): Job<DecodedAudio> {
  const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "gain", "mix"]);
  const gain = reader.number("gain", { min: -60, max: 0, unit: "dBFS" });
  const mix = reader.boolean("mix");
  const { beats, downbeats } = track;
  for (const [name, times] of Object.entries({ beats, downbeats }))
    if (!(times instanceof Float64Array)) throw new TypeError(`track.${name} must be a Float64Array, got ${show(times)}`);
  const settings = { ...(gain !== undefined && { gain }), ...(mix !== undefined && { mix }) };
  const params = { beats: beats.slice(), downbeats: downbeats.slice(), options: settings };
  return soundJob(workshop, input, reader, { method: "clickTrack", params, finish: (result) => result });
}
