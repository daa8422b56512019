interface Waiting {
  readonly priority: number;
  readonly start: () => void;
}

/** Runs tasks, at most `concurrent` at once: those of higher priority first, within one in the order they came. Nothing running is interrupted. */
export class Line {
  readonly #concurrent: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(concurrent: number) {
    this.#concurrent = concurrent;
  }

  /** Tasks that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `task` when its turn comes. Aborting `signal` before that removes it: the promise rejects with the signal's reason and
   * nothing is run.
   */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal, priority = 0): Promise<T> {
    await this.#turn(signal, priority);
    try {
      return await task();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.start();
    }
  }

  #turn(signal: AbortSignal | undefined, priority: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const start = () => {
        signal?.removeEventListener("abort", leave);
        this.#running += 1;
        resolve();
      };
      const waiting = { priority, start };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal?.reason);
      };
      // A task that has just ended calls the next one itself: nobody may slip in between.
      if (this.#running < this.#concurrent && this.#waiting.length === 0) return start();
      signal?.addEventListener("abort", leave, { once: true });
      const behind = this.#waiting.findIndex((other) => other.priority < priority);
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiting);
    });
  }
}
