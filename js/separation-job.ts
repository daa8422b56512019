import { Job, type JobContext, type JobOptions } from "./job.js";
import type { Pieces } from "./pieces.js";
import type { ExecutionMode } from "./policy.js";
import type { Device } from "./separation-options.js";

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
  /** What ran the network of its chunk; null for a silent one, which is not run. */
  readonly device: "cpu" | "webgpu" | null;
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
  /**
   * Most bytes that workers had: linear memory of the one that decodes and joins, what that one held outside it (decoded sound, and the
   * file where it came as bytes), and linear memory of each that ran the network. With `collect: false` none of them grows with a sound
   * beyond `limits.heldBytes`, but for a file that came as bytes, or samples.
   */
  readonly peakMemory: { readonly home: number; readonly held: number; readonly inference: readonly number[] };
  /** What ran the network. */
  readonly device: DeviceReport;
  /** The model that was used. */
  readonly model: { readonly name: string; readonly version: string };
  /** With `normalize: "peak"`: decibels that each stem was raised by, by name. */
  readonly normalization?: Readonly<Record<string, number>>;
  /** What the decoder had to skip or found missing, a sentence each. */
  readonly warnings: readonly string[];
  /** With `debug: true`. */
  readonly metadata?: SeparationMetadata;
}

/** What ran the network of a separation. */
export interface DeviceReport {
  /** The job's `device` option. */
  readonly requested: Device;
  /** What ran it. */
  readonly used: "cpu" | "webgpu" | "webgpu (software)" | "webgpu+cpu" | "webgpu (software)+cpu";
  /** Chunks that each of the two ran; silent ones are not run. */
  readonly chunks: { readonly webgpu: number; readonly cpu: number };
  /** Why the graphics processor did not run all of it; null where it did or was not looked for. */
  readonly reason: string | null;
}

/** How the stems were made. */
export interface SeparationMetadata {
  /** Architecture of a shipped model, or a custom model's name. */
  readonly modelName: string;
  /** Number of stems, as "2-stem". */
  readonly modelVariant: string;
  /** SHA-256 of the model file. */
  readonly weightHash: string | null;
  /** What ran the network, in words. */
  readonly device: string;
  /** What ran the network. */
  readonly deviceType: "cpu" | "webgpu" | "gpu";
  /** Samples of a chunk. */
  readonly chunkSize: number;
  /** Samples that two chunks share. */
  readonly overlapSize: number;
  /** What might have run the network. */
  readonly executionMode: ExecutionMode;
}

/** A separation under way. Await it for the whole, or read its segments as they are made: `for await (const segment of job)`. */
export class SeparationJob extends Job<SeparationResult> implements AsyncIterable<Segment> {
  /** Name of the job in {@link Engine.queue} and for the `authorize` hook. */
  readonly id: string;
  readonly #pieces: Pieces<Segment>;

  /** @internal Made by `engine.separate`. */
  constructor(id: string, work: (job: JobContext) => Promise<SeparationResult>, options: JobOptions, pieces: Pieces<Segment>) {
    super(work, options);
    this.id = id;
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
