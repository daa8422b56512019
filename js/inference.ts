import { OtolithError } from "./errors.js";
import type { GpuNetwork } from "./gpu-provider.js";
import type { JobContext } from "./job.js";
import type { ChosenModel } from "./models.js";
import type { Pieces } from "./pieces.js";
import type { CallOptions, WorkerLink } from "./worker/link.js";
import type { WorkerPool } from "./worker/pool.js";
import type { ChunkDevice, ChunkParams, ChunkStems, NetworkTensor, SegmentData } from "./worker/protocol.js";

/** What the chunks of one separation are run with. @internal */
export interface Inference {
  /** Holds the sound; cuts chunks and joins them. */
  readonly home: WorkerLink;
  /** Workers that run the network. */
  readonly pool: WorkerPool;
  readonly workers: number;
  readonly model: ChosenModel;
  readonly bytes: ArrayBuffer;
  readonly chunkCount: number;
  readonly conditioning: boolean;
  /** The network on the graphics processor, for jobs that may use it and where it passed. */
  readonly gpu: GpuNetwork | undefined;
  /** Told once why the graphics processor is given up. */
  readonly onGpuLost: (reason: unknown) => void;
  /** Where its segments are read, slowly perhaps. */
  readonly pieces: Pick<Pieces<unknown>, "room">;
  /** Told each segment, in order, and what ran the network of its chunk; null for a silent one. */
  readonly onSegment: (segment: SegmentData, device: ChunkDevice | null) => void;
}

/** What the chunks took. @internal */
export interface InferenceFigures {
  /** Linear memory of every worker that ran a chunk, in bytes. */
  readonly memory: readonly number[];
  /** Chunks that were silent and took no inference. */
  readonly silentChunks: number;
  /** Chunks that each device ran. */
  readonly chunks: { readonly webgpu: number; readonly cpu: number };
  /** Seconds that each chunk took on the processor. */
  readonly cpuSeconds: readonly number[];
}

/**
 * Sends chunks in order to the first free worker, and hands them back to the home worker in order. What a chunk becomes depends on the chunk alone, so the pool's size shows in time only. @internal
 */
export async function inferChunks(inference: Inference, job: JobContext): Promise<InferenceFigures> {
  const run = new ChunkRun(inference, job);
  const stop = () => run.fail(job.signal.reason);
  job.signal.addEventListener("abort", stop, { once: true });
  try {
    // All lanes have come to rest before the home worker is given back.
    await Promise.all(Array.from({ length: run.lanes }, () => run.lane()));
  } finally {
    job.signal.removeEventListener("abort", stop);
  }
  if (run.failure) throw run.failure.thrown;
  return { memory: [...run.memory.values()], silentChunks: run.silentChunks, chunks: run.chunks, cpuSeconds: run.cpuSeconds };
}

/** Gives a worker the model, once. @internal */
export async function loadModel(link: WorkerLink, { entry }: ChosenModel, bytes: ArrayBuffer, signal: AbortSignal): Promise<void> {
  const key = entry.sha256;
  if (await link.call("hasModel", { key }, { signal })) return;
  await link.call("loadModel", { key, entry: JSON.stringify(entry), bytes }, { signal });
}

class ChunkRun {
  readonly memory = new Map<WorkerLink, number>();
  silentChunks = 0;
  readonly chunks = { webgpu: 0, cpu: 0 };
  readonly cpuSeconds: number[] = [];
  failure: { readonly thrown: unknown } | undefined;
  /** Chunks under way at once. */
  readonly lanes: number;
  readonly #inference: Inference;
  /** Until it is lost. */
  #gpu: GpuNetwork | undefined;
  readonly #job: JobContext;
  /** One a lane, to end all when one fails or the job is cancelled. */
  readonly #stops: AbortController[] = [];
  readonly #startedAt = performance.now();
  /** Share done of every chunk under way. */
  readonly #underWay = new Map<number, number>();
  /** Stems that wait for an earlier chunk. */
  readonly #early = new Map<number, ChunkStems | undefined>();
  /** Wake the lanes that wait for the join. */
  readonly #held: (() => void)[] = [];
  #next = 0;
  #toPush = 0;
  #finished = 0;
  #pushing: Promise<void> = Promise.resolve();

  constructor(inference: Inference, job: JobContext) {
    this.#inference = inference;
    this.#job = job;
    this.#gpu = inference.gpu;
    this.lanes = Math.min(inference.workers, inference.chunkCount);
    this.#report();
  }

  /** Ends all lanes; the first failure is the one that counts. */
  fail(thrown: unknown): void {
    this.failure ??= { thrown };
    for (const stop of this.#stops) stop.abort(thrown);
    for (const wake of this.#held.splice(0)) wake();
  }

  /** Takes chunk after chunk until there is none left. It does not reject: failures go to {@link ChunkRun.fail}. */
  async lane(): Promise<void> {
    const { chunkCount, pieces } = this.#inference;
    const stop = new AbortController();
    this.#stops.push(stop);
    const { signal } = stop;
    try {
      for (;;) {
        await pieces.room(signal);
        await this.#turn(signal);
        if (this.#next >= chunkCount) return;
        const index = this.#next++;
        await this.#deliver(index, await this.#chunk(index, signal), signal);
      }
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** The stems of a chunk; undefined for a silent one. */
  async #chunk(index: number, signal: AbortSignal): Promise<ChunkStems | undefined> {
    const { home, pool, conditioning, model, bytes } = this.#inference;
    const { silent, gain, left, right } = await home.call("takeChunk", { index }, { signal });
    if (silent) {
      this.silentChunks += 1;
      return undefined;
    }
    this.#underWay.set(index, 0);
    return pool.use(signal, async (link) => {
      await loadModel(link, model, bytes, signal);
      const params = { key: model.entry.sha256, left, right, gain, conditioning };
      const onProgress = (_: string, done: number) => {
        this.#underWay.set(index, done);
        this.#report();
      };
      const options = { signal, onProgress, transfer: [left.buffer, right.buffer] };
      const began = performance.now();
      const chunk = await (this.#gpu ? this.#onGpu(link, params, options) : link.call("runChunk", params, options));
      this.memory.set(link, link.memoryBytes);
      this.#count(chunk);
      if (chunk.device === "cpu") this.cpuSeconds.push((performance.now() - began) / 1000);
      return chunk;
    });
  }

  /** A chunk whose network runs on the graphics processor; on the processor if that fails. */
  async #onGpu(link: WorkerLink, params: ChunkParams, options: CallOptions & { readonly signal: AbortSignal }): Promise<ChunkStems> {
    const { signal, onProgress } = options;
    const input = await link.call("prepareChunk", params, options);
    try {
      const output = await this.#outputOf(input, signal);
      if (output) return await link.call("completeChunk", { output }, { signal, transfer: [output.values.buffer] });
    } catch (thrown) {
      if (link.dead) throw thrown;
      if (signal.aborted) {
        // The worker goes on to other jobs, and the chunk is of no use to them.
        await link.call("dropChunk", {});
        throw thrown;
      }
      // Values that are not finite are refused, and the chunk is still there.
      this.#loseGpu(thrown);
    }
    return link.call("completeChunk", {}, onProgress ? { signal, onProgress } : { signal });
  }

  async #outputOf(input: NetworkTensor, signal: AbortSignal): Promise<NetworkTensor | undefined> {
    try {
      return await this.#gpu?.run(input, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      this.#loseGpu(thrown);
      return undefined;
    }
  }

  /** From here on everything runs on the processor. */
  #loseGpu(reason: unknown): void {
    if (!this.#gpu) return;
    this.#gpu.release(reason);
    this.#gpu = undefined;
    this.#inference.onGpuLost(reason);
  }

  /** Counts a chunk by what it says it ran on, which must be what the job may use. */
  #count({ device }: ChunkStems): void {
    if (device !== "cpu" && !(device === "webgpu" && this.#inference.gpu))
      throw new OtolithError("internal", `a chunk was run on ${String(device)}, this job runs on the processor`);
    this.chunks[device] += 1;
  }

  #deliver(index: number, stems: ChunkStems | undefined, signal: AbortSignal): Promise<void> {
    this.#underWay.delete(index);
    this.#finished += 1;
    this.#report();
    this.#early.set(index, stems);
    this.#pushing = this.#pushing.then(() => this.#pushReady(signal));
    return this.#pushing;
  }

  async #pushReady(signal: AbortSignal): Promise<void> {
    const { home, onSegment } = this.#inference;
    while (this.#early.has(this.#toPush)) {
      const index = this.#toPush++;
      const chunk = this.#early.get(index);
      this.#early.delete(index);
      const transfer = chunk ? [chunk.stems.buffer] : [];
      const segment = await home.call("pushChunk", { index, stems: chunk?.stems }, { signal, transfer });
      onSegment(segment, chunk?.device ?? null);
      for (const wake of this.#held.splice(0)) wake();
    }
  }

  /** Waits while so many chunks are ahead of the join that more would only take memory: silent ones are done in no time. */
  async #turn(signal: AbortSignal): Promise<void> {
    while (this.#next > this.#toPush + this.lanes) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#held.push(resolve));
    }
  }

  #report(): void {
    const { chunkCount } = this.#inference;
    const done = Math.min(chunkCount, this.#finished + [...this.#underWay.values()].reduce((sum, share) => sum + share, 0));
    const elapsed = performance.now() - this.#startedAt;
    // Before a third of the first chunk, compiling and loading would pass for inference.
    this.#job.report("infer", done, chunkCount, done < 0.3 ? null : (elapsed * (chunkCount - done)) / done);
  }
}
