import { abortable } from "./abortable.js";
import { callOptions, openSound, SOUND_OPTIONS, type SoundOptions, type Workshop } from "./analysis.js";
import { type AudioInput, type HeldInput, holdInput } from "./audio-input.js";
import { OtolithError } from "./errors.js";
import { inferChunks } from "./inference.js";
import { Job, type JobContext, type JobOptions, readJobOptions } from "./job.js";
import type { JobQueue } from "./job-queue.js";
import type { ChosenModel, Models } from "./models.js";
import { OptionReader } from "./options.js";
import { Pieces } from "./pieces.js";
import type { WasmFiles } from "./wasm-files.js";
import type { WorkerLink } from "./worker/link.js";
import type { WorkerPool } from "./worker/pool.js";
import type { SegmentData, SeparationPlan, SeparationSettings } from "./worker/protocol.js";

/** Options of `engine.separate`. */
export interface SeparationOptions extends SoundOptions {
  /** How many stems: 2 (vocals, instrumental; default) or 5 (vocals, drums, bass, instruments, fx). */
  readonly stems?: 2 | 5;
  /** Name of the model, shipped or your own. Default: the package's best for `stems`. */
  readonly model?: string;
  /** Length of a chunk, 6..30 seconds. Default 18. */
  readonly chunk?: number;
  /** Overlap of two chunks, 0.5..4 seconds, at most half of `chunk`. Default 1.75. */
  readonly overlap?: number;
  /** Whether vocals lose what lies below 30 Hz and bass is mono below 120 Hz. Default true. */
  readonly conditioning?: boolean;
  /** Rate of the stems: the input's own (default), or 44100 Hz. */
  readonly sampleRate?: "input" | 44100;
  /** Whether the result holds the whole stems. False keeps memory flat for who reads the segments. Default true. */
  readonly collect?: boolean;
  /** Whether the result has `metadata`. Default false. */
  readonly debug?: boolean;
}

/** Planar samples of a stem: one channel for a mono input, else two. */
export interface StemAudio {
  /** One array per channel, all of one length. */
  readonly channels: Float32Array<ArrayBuffer>[];
  /** Hertz. */
  readonly sampleRate: number;
}

/** A finished stretch of all stems. Segments come in order and tile the file. */
export interface Segment {
  /** Number of the segment, from 0. */
  readonly index: number;
  /** Where it starts, in seconds. */
  readonly start: number;
  /** Samples per channel. */
  readonly frames: number;
  /** Hertz. */
  readonly sampleRate: number;
  /** The stems by name. The arrays are yours. */
  readonly stems: Readonly<Record<string, StemAudio>>;
}

/** What a separation gives. */
export interface SeparationResult {
  /** The whole stems by name. They sum to the mix. Empty with `collect: false`. */
  readonly stems: Readonly<Record<string, StemAudio>>;
  /** Hertz. */
  readonly sampleRate: number;
  /** Samples per channel: as many as the input has, at its own rate. */
  readonly frames: number;
  /** Seconds of sound. */
  readonly duration: number;
  /** Where each segment lay. */
  readonly segments: readonly { readonly index: number; readonly start: number; readonly frames: number }[];
  /** Chunks that the file was cut into. */
  readonly chunks: number;
  /** Those of them that were silent and took no inference. */
  readonly silentChunks: number;
  /** Workers that ran the network at most. */
  readonly workers: number;
  /** Seconds from leaving the queue to the result. */
  readonly seconds: number;
  /** Most bytes of linear memory that workers had: the one that decodes and joins, and each that ran the network. */
  readonly peakMemory: { readonly home: number; readonly inference: readonly number[] };
  /** The model that was used. */
  readonly model: { readonly name: string; readonly version: string };
  /** What the decoder had to skip or found missing, a sentence each. */
  readonly warnings: readonly string[];
  /** With `debug: true`. */
  readonly metadata?: SeparationMetadata;
}

/** How the stems were made. */
export interface SeparationMetadata {
  /** Architecture of a shipped model, or a custom model's name. */
  readonly modelName: string;
  /** Number of stems, as "2-stem". */
  readonly modelVariant: string;
  /** SHA-256 of the model file. */
  readonly weightHash: string;
  /** What ran the network, in words. */
  readonly device: string;
  /** What ran the network. */
  readonly deviceType: "cpu";
  /** Samples of a chunk. */
  readonly chunkSize: number;
  /** Samples that two chunks share. */
  readonly overlapSize: number;
  /** What might have run the network. */
  readonly executionMode: "cpu_only";
}

/** A separation under way. Await it for the whole, or read its segments as they are made: `for await (const segment of job)`. */
export class SeparationJob extends Job<SeparationResult> implements AsyncIterable<Segment> {
  readonly #pieces: Pieces<Segment>;

  /** @internal Made by `engine.separate`. */
  constructor(work: (job: JobContext) => Promise<SeparationResult>, options: JobOptions, pieces: Pieces<Segment>) {
    super(work, options);
    this.#pieces = pieces;
    // Not through `then`, which would count as awaiting the whole.
    super.then(
      () => pieces.end(),
      (error: unknown) => pieces.end({ error }),
    );
  }

  /** As of a promise. Awaiting a job that nobody reads lets it run at full speed. */
  // biome-ignore lint/suspicious/noThenProperty: a job is awaitable by design.
  override then<A = SeparationResult, B = never>(
    onFulfilled?: ((value: SeparationResult) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#pieces.expectWhole();
    return super.then(onFulfilled, onRejected);
  }

  /**
   * The segments, once, in order. While more than `workers` + 1 of them are unread no further chunk is begun. Leaving the loop early
   * cancels the job.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Segment, void, undefined> {
    return this.#pieces.read(() => this.cancel(new DOMException("the segments are no longer read", "AbortError")));
  }

  /** The segments as a stream: the same, with the same back-pressure. */
  get readable(): ReadableStream<Segment> {
    const segments = this[Symbol.asyncIterator]();
    return new ReadableStream<Segment>(
      {
        pull: async (controller) => {
          const { done, value } = await segments.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: (reason) => this.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }
}

/** What separations work with. @internal */
export interface SeparationWorkshop extends Workshop {
  /** Workers that run neural.wasm. */
  readonly neural: WorkerPool;
  readonly workers: number;
  /** The line of separations. */
  readonly separations: JobQueue;
  readonly models: Models;
  readonly wasm: WasmFiles;
  /** Most bytes of a whole result. */
  readonly resultBytes: number;
}

interface CheckedOptions {
  readonly choice: { stems?: number; model?: string };
  readonly settings: SeparationSettings;
  readonly collect: boolean;
  readonly debug: boolean;
}

/** @internal */
export function separate(workshop: SeparationWorkshop, input: AudioInput, options: SeparationOptions | undefined): SeparationJob {
  const reader = new OptionReader(options, "options", [
    ...SOUND_OPTIONS,
    ...["stems", "model", "chunk", "overlap", "conditioning", "sampleRate", "collect", "debug"],
  ]);
  const checked = readOptions(reader);
  const jobOptions = readJobOptions(reader);
  const held = holdInput(input, reader);
  const pieces = new Pieces<Segment>(workshop.workers + 1, checked.collect);
  const work = (job: JobContext) => workshop.separations.run(() => new Separation(workshop, checked, pieces, job).run(held), job.signal);
  return new SeparationJob(work, jobOptions, pieces);
}

function readOptions(reader: OptionReader): CheckedOptions {
  const stems = reader.oneOf("stems", [2, 5] as const);
  const model = reader.string("model");
  const chunk = reader.number("chunk", { min: 6, max: 30, unit: "seconds" });
  const overlap = reader.number("overlap", { min: 0.5, max: 4, unit: "seconds" });
  if ((overlap ?? 1.75) > (chunk ?? 18) / 2)
    throw new TypeError(
      `${reader.path("overlap")} must be at most half of ${reader.path("chunk")}, got ${overlap ?? 1.75} and ${chunk ?? 18} seconds`,
    );
  const conditioning = reader.boolean("conditioning");
  const sampleRate = reader.oneOf("sampleRate", ["input", 44100] as const);
  return {
    choice: { ...(stems !== undefined && { stems }), ...(model !== undefined && { model }) },
    settings: {
      ...(chunk !== undefined && { chunk }),
      ...(overlap !== undefined && { overlap }),
      ...(conditioning !== undefined && { conditioning }),
      ...(sampleRate !== undefined && { sampleRate }),
    },
    collect: reader.boolean("collect") ?? true,
    debug: reader.boolean("debug") ?? false,
  };
}

/** One separation: a home worker decodes, cuts and joins; inference workers run the network. */
class Separation {
  readonly #workshop: SeparationWorkshop;
  readonly #options: CheckedOptions;
  readonly #pieces: Pieces<Segment>;
  readonly #job: JobContext;
  readonly #segments: { index: number; start: number; frames: number }[] = [];
  readonly #stems = new Map<string, StemAudio>();

  constructor(workshop: SeparationWorkshop, options: CheckedOptions, pieces: Pieces<Segment>, job: JobContext) {
    this.#workshop = workshop;
    this.#options = options;
    this.#pieces = pieces;
    this.#job = job;
  }

  async run(held: HeldInput): Promise<SeparationResult> {
    this.#job.started();
    const startedAt = performance.now();
    return this.#workshop.core.use(this.#job.signal, async (home) => {
      try {
        return await this.#separate(held, home, startedAt);
      } finally {
        if (!home.dead) await home.call("closeSeparation", {});
      }
    });
  }

  async #separate(held: HeldInput, home: WorkerLink, startedAt: number): Promise<SeparationResult> {
    const { models, wasm, neural, workers } = this.#workshop;
    const model = await models.choose(this.#options.choice, home);
    const sound = await openSound(this.#workshop, held, this.#job);
    // The sound first: a file that cannot be read should cost no download.
    const params = { ...sound, entry: JSON.stringify(model.entry), options: this.#options.settings };
    const plan = await home.call("openSeparation", params, callOptions(this.#job, sound));
    if (this.#options.collect) this.#reserve(plan);
    const bytes = await models.fetch(model, home, this.#job);
    this.#job.report("load", 0, 1);
    // Cancelling ends the wait and not the fetch, which another job may share.
    await abortable(
      wasm.module("neural", (done, total) => this.#job.report("download", done, total)),
      this.#job.signal,
    );
    this.#job.report("load", 1, 1);
    const { memory, silentChunks } = await inferChunks(
      {
        home,
        pool: neural,
        workers,
        model,
        bytes,
        chunkCount: plan.chunkCount,
        conditioning: this.#options.settings.conditioning ?? true,
        pieces: this.#pieces,
        onSegment: (segment) => this.#take(segment, plan),
      },
      this.#job,
    );
    return {
      stems: Object.fromEntries(this.#stems),
      sampleRate: plan.sampleRate,
      frames: plan.frames,
      duration: plan.frames / plan.sampleRate,
      segments: this.#segments,
      chunks: plan.chunkCount,
      silentChunks,
      workers: Math.min(workers, plan.chunkCount),
      seconds: (performance.now() - startedAt) / 1000,
      peakMemory: { home: home.memoryBytes, inference: memory },
      model: { name: model.entry.name, version: model.entry.model_version },
      warnings: plan.warnings,
      ...(this.#options.debug && { metadata: metadataOf(model, plan) }),
    };
  }

  /** Takes the memory of the whole result, or says why not. */
  #reserve({ stemNames, channelCount, frames, sampleRate }: SeparationPlan): void {
    const { resultBytes } = this.#workshop;
    // Mono stays mono; everything else becomes stereo.
    const channels = Math.min(2, channelCount);
    const bytes = stemNames.length * channels * frames * Float32Array.BYTES_PER_ELEMENT;
    const advice = "read the segments with collect: false, or give a shorter sound";
    if (bytes > resultBytes) {
      const message = `the stems take ${bytes} bytes, the limit is ${resultBytes}: ${advice}, or raise limits.resultBytes`;
      throw new OtolithError("limit", message, { details: { limit: "resultBytes", given: bytes, allowed: resultBytes } });
    }
    try {
      for (const name of stemNames)
        this.#stems.set(name, { channels: Array.from({ length: channels }, () => new Float32Array(frames)), sampleRate });
    } catch (cause) {
      throw new OtolithError("out-of-memory", `could not reserve ${bytes} bytes for the stems: ${advice}`, { details: { bytes }, cause });
    }
  }

  #take({ index, start, frames, stems }: SegmentData, { stemNames, sampleRate }: SeparationPlan): void {
    const position = this.#segments.reduce((sum, segment) => sum + segment.frames, 0);
    this.#segments.push({ index, start, frames });
    const named = stemNames.map((name, stem) => [name, { channels: stems[stem] ?? [], sampleRate }] as const);
    for (const [name, { channels }] of named)
      for (const [channel, samples] of channels.entries()) this.#stems.get(name)?.channels[channel]?.set(samples, position);
    this.#pieces.push({ index, start, frames, sampleRate, stems: Object.fromEntries(named) });
  }
}

function metadataOf({ entry, custom }: ChosenModel, { stemNames, chunkSize, overlapSize }: SeparationPlan): SeparationMetadata {
  return {
    modelName: custom ? entry.name : "TF-Locoformer",
    modelVariant: `${stemNames.length}-stem`,
    weightHash: entry.sha256,
    device: "CPU (wasm simd128)",
    deviceType: "cpu",
    chunkSize,
    overlapSize,
    executionMode: "cpu_only",
  };
}
