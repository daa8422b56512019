import { type AudioInput, holdInput, type InputOptions, openInput, transferOf } from "./audio-input.js";
import { JOB_OPTIONS, Job, type JobContext, type JobOptions, readJobOptions } from "./job.js";
import type { Line } from "./line.js";
import { OptionReader } from "./options.js";
import type { Platform } from "./platform.js";
import { decodeByBrowser } from "./web-audio-decoder.js";
import type { WorkerLink } from "./worker/link.js";
import type { WorkerPool } from "./worker/pool.js";
import type { Calls, SoundInput, SoundLimits } from "./worker/protocol.js";

/** What every capability works with. @internal */
export interface Workshop {
  readonly platform: Platform;
  /** Workers that run core.wasm. */
  readonly core: WorkerPool;
  /** The line of short jobs: everything but separations. */
  readonly analyses: Line;
  readonly limits: SoundLimits;
  /** Most bytes of an encoded file. */
  readonly inputBytes: number;
}

/** Names of the options that every call on a sound has. @internal */
export const SOUND_OPTIONS = [...JOB_OPTIONS, "transfer"] as const;

/** Options of a call on a sound that has no others. */
export interface SoundOptions extends JobOptions, InputOptions {}

type SoundMethod = "activity" | "decode" | "clickTrack";

/** How a sound's call is made and what its answer becomes. @internal */
export interface SoundCall<M extends SoundMethod, T> {
  readonly method: M;
  /** Parameters besides the sound. */
  readonly params: Omit<Calls[M]["params"], keyof SoundInput>;
  /** The job's result from the worker's. */
  readonly finish: (result: Calls[M]["result"], job: JobContext) => T | Promise<T>;
}

/** A job that takes a sound through one call of one worker. @internal */
export function soundJob<M extends SoundMethod, T>(
  workshop: Workshop,
  input: AudioInput,
  reader: OptionReader,
  call: SoundCall<M, T>,
): Job<T> {
  // The input last: a wrong option must not cost the caller a transferred buffer.
  const options = readJobOptions(reader);
  const held = holdInput(input, reader);
  return new Job(
    (job) =>
      workshop.analyses.run(async () => {
        job.started();
        const sound = await openSound(workshop, held, job);
        const result = await workshop.core.use(job.signal, (link) =>
          link.call(call.method, { ...call.params, ...sound } as unknown as Calls[M]["params"], callOptions(job, sound)),
        );
        return call.finish(result, job);
      }, job.signal),
    options,
  );
}

/** The sound of a held input with its limits, fetched and decoded by the browser if need be. @internal */
export async function openSound(workshop: Workshop, held: ReturnType<typeof holdInput>, job: JobContext): Promise<SoundInput> {
  const { platform, limits } = workshop;
  const given = await openInput(held, {
    platform,
    limit: workshop.inputBytes,
    signal: job.signal,
    report: (done, total) => job.report("download", done, total),
  });
  const source = await decodeByBrowser(given, limits, platform.decode);
  job.signal.throwIfAborted();
  return { source, limits };
}

/** Options of a call that carries a sound and reports to a job. @internal */
export function callOptions(job: JobContext, { source }: SoundInput): NonNullable<Parameters<WorkerLink["call"]>[2]> {
  return { signal: job.signal, transfer: transferOf(source), onProgress: (phase, done, total) => job.report(phase, done, total) };
}

/** A sound as planar samples, decoded. */
export interface DecodedAudio {
  /** One array per channel, all of one length. */
  readonly channels: Float32Array<ArrayBuffer>[];
  /** Hertz. */
  readonly sampleRate: number;
  /** What the decoder had to skip or found missing, a sentence each. Empty for an undamaged file. */
  readonly warnings: string[];
}

/** @internal */
export function decode(workshop: Workshop, input: AudioInput, options: SoundOptions | undefined): Job<DecodedAudio> {
  const reader = new OptionReader(options, "options", SOUND_OPTIONS);
  return soundJob(workshop, input, reader, { method: "decode", params: {}, finish: (result) => result });
}
