import { type DecodedAudio, SOUND_OPTIONS, type SoundOptions, soundJob, type Workshop } from "./analysis.js";
import type { AudioInput } from "./audio-input.js";
import type { Job } from "./job.js";
import { OptionReader, show } from "./options.js";

/** Options of `engine.beats`. */
export interface BeatOptions extends SoundOptions {
  /** `flux`: spectral flux and dynamic programming. `auto` (default): the best there is, which the result names. */
  readonly method?: "auto" | "flux";
  /** Slowest tempo considered, beats per minute, 30..300. Default 55. */
  readonly minBpm?: number;
  /** Fastest tempo considered, beats per minute, 30..300, at least 1.5 times `minBpm`. Default 215. */
  readonly maxBpm?: number;
  /** Beats per bar considered. Default [2, 3, 4, 6]. */
  readonly meters?: readonly number[];
  /** Whether downbeats are sought. Default true. */
  readonly downbeats?: boolean;
}

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
  readonly method: "flux";
  /** Why `auto` used this method and no better one; null if there is nothing to say. */
  readonly notice: string | null;
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

/** @internal */
export function beats(workshop: Workshop, input: AudioInput, options: BeatOptions | undefined): Job<BeatTrack> {
  const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "method", "minBpm", "maxBpm", "meters", "downbeats"]);
  const method = reader.oneOf("method", ["auto", "flux"] as const);
  const minBpm = reader.number("minBpm", BPM);
  const maxBpm = reader.number("maxBpm", BPM);
  const meters = readMeters(reader);
  const downbeats = reader.boolean("downbeats");
  const settings = {
    ...(method !== undefined && { method }),
    ...(minBpm !== undefined && { minBpm }),
    ...(maxBpm !== undefined && { maxBpm }),
    ...(meters !== undefined && { meters }),
    ...(downbeats !== undefined && { downbeats }),
  };
  return soundJob(workshop, input, reader, { method: "beats", params: { options: settings }, finish: (track) => track });
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
