import type { JobProgress as Progress } from "otolith";

/** Kinds of work the page gives to the engine; at most one of each runs. */
export type JobKind = "open" | "beats" | "print" | "separate" | "enrol" | "match";

/** A failure as it is told to the visitor. */
export interface Problem {
  readonly kind: JobKind | "start";
  /** Stable code, e.g. `unsupported-format`. */
  readonly code: string;
  readonly message: string;
  /** Does the same again; absent where that cannot help. */
  readonly retry?: () => void;
}

/** What is handed to the engine with each call. */
export interface JobHandle {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

interface Running {
  readonly abort: AbortController;
  progress: Progress | null;
}

/**
 * Runs the page's jobs: remembers progress, cancels, and turns failures into problems. Fires `job` when a job starts, moves or ends and `problem` when a
 * failure comes or is dismissed.
 */
export class JobDesk extends EventTarget {
  readonly #running = new Map<JobKind, Running>();
  problem: Problem | null = null;

  /** Whether a job of this kind is under way. */
  isRunning(kind: JobKind): boolean {
    return this.#running.has(kind);
  }

  /** Latest progress of a running job; `null` before its first report or if none runs. */
  progress(kind: JobKind): Progress | null {
    return this.#running.get(kind)?.progress ?? null;
  }

  /**
   * Runs one job, first cancelling one of its kind that still runs.
   * @returns the result, or `undefined` if it failed (then there is a problem) or was cancelled
   */
  async run<T>(kind: JobKind, work: (handle: JobHandle) => PromiseLike<T>, retry?: () => void): Promise<T | undefined> {
    this.cancel(kind);
    const running: Running = { abort: new AbortController(), progress: null };
    this.#running.set(kind, running);
    if (this.problem?.kind === kind) this.tell(null);
    this.#announce(kind);
    const { signal } = running.abort;
    const onProgress = (progress: Progress) => {
      if (signal.aborted) return;
      running.progress = progress;
      this.#announce(kind);
    };
    try {
      return await Promise.race([work({ signal, onProgress }), aborted(signal)]);
    } catch (error) {
      if (!signal.aborted) this.tell(toProblem(kind, error, retry));
      return undefined;
    } finally {
      if (this.#running.get(kind) === running) this.#running.delete(kind);
      this.#announce(kind);
    }
  }

  /** Cancels a job; its promise resolves to `undefined`. */
  cancel(kind: JobKind): void {
    const running = this.#running.get(kind);
    if (!running) return;
    this.#running.delete(kind);
    running.abort.abort();
    this.#announce(kind);
  }

  /** Cancels every job. */
  cancelAll(): void {
    for (const kind of [...this.#running.keys()]) this.cancel(kind);
  }

  /** Shows a problem, or takes the one shown away. */
  tell(problem: Problem | null): void {
    this.problem = problem;
    this.dispatchEvent(new Event("problem"));
  }

  #announce(kind: JobKind): void {
    this.dispatchEvent(new CustomEvent("job", { detail: kind }));
  }
}

/** Rejects at an abort: the page is idle at once, also where the engine must first end a worker that is inside a long step. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Codes that another run of the same may not meet again. */
const WORTH_ANOTHER_RUN = new Set(["crashed", "model-load", "model-integrity", "out-of-memory", "storage", "internal"]);

/** A failure of any origin in the words of the visitor. */
export function toProblem(kind: Problem["kind"], error: unknown, retry?: () => void): Problem {
  const code = (error as { code?: unknown } | null)?.code;
  const message = error instanceof Error ? error.message : String(error);
  const known = typeof code === "string" ? code : "internal";
  return { kind, code: known, message, ...(retry && WORTH_ANOTHER_RUN.has(known) ? { retry } : {}) };
}
