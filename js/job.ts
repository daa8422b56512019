import type { OptionReader } from "./options.js";

/**
 * Where a job is. `queued` jobs have taken nothing yet; a `failed` or `cancelled` one has given everything back.
 */
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

/**
 * What a job is doing: `download` (bytes of input, model or program), `decode` (share), `analyze` (share), `verify` and `load` a model
 * (share), `infer` (chunks, fractional).
 */
export type JobPhase = "download" | "decode" | "analyze" | "verify" | "load" | "infer";

/** How far a job is. */
export interface JobProgress {
  /** What is being done. */
  readonly phase: JobPhase;
  /** How much of the phase is done, in the phase's unit; it never falls within a phase. */
  readonly done: number;
  /** How much the phase has, in the same unit; null where it is not known (a download without a length). */
  readonly total: number | null;
  /** Milliseconds since the job left the queue. */
  readonly elapsedMs: number;
  /** Estimated milliseconds until the job ends; null until there is something to estimate from. */
  readonly etaMs: number | null;
}

/** Options of every job. */
export interface JobOptions {
  /** Aborting it cancels the job, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with the progress. If it throws, the job fails with what it threw. */
  readonly onProgress?: (progress: JobProgress) => void;
}

/** Names of {@link JobOptions}, for the check of unknown options. */
export const JOB_OPTIONS = ["signal", "onProgress"] as const;

/** Checks the options that every job has. */
export function readJobOptions(reader: OptionReader): JobOptions {
  const signal = reader.signal("signal");
  const onProgress = reader.function<(progress: JobProgress) => void>("onProgress");
  return { ...(signal && { signal }), ...(onProgress && { onProgress }) };
}

/** What a job's work is given. @internal */
export interface JobContext {
  /** Aborted when the job is cancelled. */
  readonly signal: AbortSignal;
  /** Says that the job has left the queue. */
  started(): void;
  /** Says how far it is. */
  report(phase: JobPhase, done: number, total: number | null, etaMs?: number | null): void;
}

/**
 * A piece of work under way. Await it for its result; see {@link Job.progress}, {@link Job.state} and {@link Job.cancel} meanwhile.
 *
 * A job that nobody awaits fails silently: await it, or look at `state`.
 */
export class Job<T> implements PromiseLike<T> {
  readonly #controller = new AbortController();
  readonly #promise: Promise<T>;
  readonly #onProgress: ((progress: JobProgress) => void) | undefined;
  #state: JobState = "queued";
  #progress: JobProgress | null = null;
  #startedAt = 0;
  #failure: { readonly thrown: unknown } | undefined;

  /** @internal Jobs are made by the engine. */
  constructor(work: (context: JobContext) => Promise<T>, options: JobOptions) {
    this.#onProgress = options.onProgress;
    const { signal } = options;
    const forward = () => this.cancel(signal?.reason);
    if (signal?.aborted) forward();
    else signal?.addEventListener("abort", forward, { once: true });
    this.#promise = this.#run(work).finally(() => signal?.removeEventListener("abort", forward));
    // Whoever awaits the job gets the rejection; a job only iterated over or polled must not end the process.
    this.#promise.catch(() => {});
  }

  /** Where the job is. */
  get state(): JobState {
    return this.#state;
  }

  /** The last progress reported; null until the first. */
  get progress(): JobProgress | null {
    return this.#progress;
  }

  /** Resolves when the job has ended, however. @internal */
  get settled(): Promise<void> {
    return this.#promise.then(
      () => {},
      () => {},
    );
  }

  /**
   * Stops the job: it rejects with `reason` (default: a `DOMException` named "AbortError"), within 1.2 s even from inside a network. A
   * job that has ended is left as it is.
   */
  cancel(reason: unknown = new DOMException("the job was cancelled", "AbortError")): void {
    this.#controller.abort(reason);
  }

  /** As of a promise: what `await job` calls. */
  // biome-ignore lint/suspicious/noThenProperty: a job is awaitable by design.
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise.then(onFulfilled, onRejected);
  }

  /** As of a promise. */
  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  /** As of a promise. */
  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then().finally(onFinally);
  }

  /** "Job", so that it prints as one. */
  get [Symbol.toStringTag](): string {
    return "Job";
  }

  async #run(work: (context: JobContext) => Promise<T>): Promise<T> {
    const { signal } = this.#controller;
    // The caller has the job in hand before any of its work, and so before its first progress.
    await Promise.resolve();
    try {
      signal.throwIfAborted();
      const result = await work({
        signal,
        started: () => this.#started(),
        report: (phase, done, total, etaMs = null) => this.#report(phase, done, total, etaMs),
      });
      signal.throwIfAborted();
      this.#state = "done";
      return result;
    } catch (thrown) {
      if (this.#failure) {
        this.#state = "failed";
        throw this.#failure.thrown;
      }
      // Once cancelled, whatever the work threw is an echo of it.
      this.#state = signal.aborted ? "cancelled" : "failed";
      throw signal.aborted ? signal.reason : thrown;
    }
  }

  #started(): void {
    this.#state = "running";
    this.#startedAt = performance.now();
  }

  #report(phase: JobPhase, done: number, total: number | null, etaMs: number | null): void {
    if (this.#controller.signal.aborted) return;
    const last = this.#progress;
    const furthest = last?.phase === phase ? Math.max(last.done, done) : done;
    this.#progress = { phase, done: furthest, total, elapsedMs: performance.now() - this.#startedAt, etaMs };
    try {
      this.#onProgress?.(this.#progress);
    } catch (thrown) {
      this.#failure = { thrown };
      this.#controller.abort(thrown);
    }
  }
}
