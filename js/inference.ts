import type { JobContext } from "./job.js";
import type { ChosenModel } from "./models.js";
import type { Pieces } from "./pieces.js";
import type { WorkerLink } from "./worker/link.js";
import type { WorkerPool } from "./worker/pool.js";
import type { SegmentData } from "./worker/protocol.js";

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
  /** Where its segments are read, slowly perhaps. */
  readonly pieces: Pick<Pieces<unknown>, "room">;
  /** Told each segment, in order. */
  readonly onSegment: (segment: SegmentData) => void;
}

/** What the chunks took. @internal */
export interface InferenceFigures {
  /** Linear memory of every worker that ran a chunk, in bytes. */
  readonly memory: readonly number[];
  /** Chunks that were silent and took no inference. */
  readonly silentChunks: number;
}

/**
 * Sends chunks in order to the first free worker, and hands them back to the home worker in order. What a chunk becomes depends on the chunk alone, so the pool's size shows in time only. @internal
 */
export async function inferChunks(inference: Inference, job: JobContext): Promise<InferenceFigures> {
  const run = new ChunkRun(inference, job);
  const stop = () => run.fail(job.signal.reason);
  job.signal.addEventListener("abort", stop, { once: true });
  try {
    const lanes = Math.min(inference.workers, inference.chunkCount);
    // All lanes have come to rest before the home worker is given back.
    await Promise.all(Array.from({ length: lanes }, () => run.lane()));
  } finally {
    job.signal.removeEventListener("abort", stop);
  }
  if (run.failure) throw run.failure.thrown;
  return { memory: [...run.memory.values()], silentChunks: run.silentChunks };
}

class ChunkRun {
  readonly memory = new Map<WorkerLink, number>();
  silentChunks = 0;
  failure: { readonly thrown: unknown } | undefined;
  readonly #inference: Inference;
  readonly #job: JobContext;
  /** One a lane, to end all when one fails or the job is cancelled. */
  readonly #stops: AbortController[] = [];
  readonly #startedAt = performance.now();
  readonly #entry: string;
  /** Share done of every chunk under way. */
  readonly #underWay = new Map<number, number>();
  /** Stems that wait for an earlier chunk. */
  readonly #early = new Map<number, Float32Array | undefined>();
  #next = 0;
  #toPush = 0;
  #finished = 0;
  #pushing: Promise<void> = Promise.resolve();

  constructor(inference: Inference, job: JobContext) {
    this.#inference = inference;
    this.#job = job;
    this.#entry = JSON.stringify(inference.model.entry);
    this.#report();
  }

  /** Ends all lanes; the first failure is the one that counts. */
  fail(thrown: unknown): void {
    this.failure ??= { thrown };
    for (const stop of this.#stops) stop.abort(thrown);
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
        if (this.#next >= chunkCount) return;
        const index = this.#next++;
        await this.#deliver(index, await this.#chunk(index, signal), signal);
      }
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** The stems of a chunk; undefined for a silent one. */
  async #chunk(index: number, signal: AbortSignal): Promise<Float32Array | undefined> {
    const { home, pool, conditioning, model } = this.#inference;
    const { silent, gain, left, right } = await home.call("takeChunk", { index }, { signal });
    if (silent) {
      this.silentChunks += 1;
      return undefined;
    }
    this.#underWay.set(index, 0);
    return pool.use(signal, async (link) => {
      await this.#load(link, signal);
      const params = { key: model.entry.sha256, left, right, gain, conditioning };
      const onProgress = (_: string, done: number) => {
        this.#underWay.set(index, done);
        this.#report();
      };
      const stems = await link.call("runChunk", params, { signal, transfer: [left.buffer, right.buffer], onProgress });
      this.memory.set(link, link.memoryBytes);
      return stems;
    });
  }

  /** Gives the worker the model, once. */
  async #load(link: WorkerLink, signal: AbortSignal): Promise<void> {
    const { model, bytes } = this.#inference;
    const key = model.entry.sha256;
    if (await link.call("hasModel", { key }, { signal })) return;
    await link.call("loadModel", { key, entry: this.#entry, bytes }, { signal });
  }

  #deliver(index: number, stems: Float32Array | undefined, signal: AbortSignal): Promise<void> {
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
      const stems = this.#early.get(index);
      this.#early.delete(index);
      const transfer = stems ? [stems.buffer as ArrayBuffer] : [];
      const segment = await home.call("pushChunk", { index, stems }, { signal, transfer });
      if (segment) onSegment(segment);
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
