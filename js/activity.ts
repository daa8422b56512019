import { SOUND_OPTIONS, type SoundOptions, soundJob, type Workshop } from "./analysis.js";
import type { AudioInput } from "./audio-input.js";
import type { Job } from "./job.js";
import { OptionReader } from "./options.js";

/** Options of `engine.activity`. */
export interface ActivityOptions extends SoundOptions {
  /** Level in dBFS of RMS, -100..-20, below which a sound is silent. Default -60. */
  readonly silence?: number;
}

/** A stretch of a sound that is one thing. */
export interface ActivitySegment {
  /** Where it begins, in seconds. */
  readonly start: number;
  /** Where it ends, in seconds. */
  readonly end: number;
  /** What it is; music may be sung. */
  readonly kind: "music" | "speech" | "silence";
  /** Mean probability of that, 0.5..1. */
  readonly confidence: number;
}

/** @internal */
export function activity(workshop: Workshop, input: AudioInput, options: ActivityOptions | undefined): Job<readonly ActivitySegment[]> {
  const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "silence"]);
  const silence = reader.number("silence", { min: -100, max: -20 });
  const params = { options: silence === undefined ? {} : { silence } };
  return soundJob(workshop, input, reader, { method: "activity", params, finish: (segments) => segments });
}
