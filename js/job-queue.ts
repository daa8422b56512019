/** Runs tasks in the order they came, at most `concurrent` at once. */
export class JobQueue {
  readonly #concurrent: number;
  readonly #waiting: (() => void)[] = [];
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
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#turn(signal);
    try {
      return await task();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const start = () => {
        signal?.removeEventListener("abort", leave);
        this.#running += 1;
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(start), 1);
        reject(signal?.reason);
      };
      // A task that has just ended calls the next one itself: nobody may slip in between.
      if (this.#running < this.#concurrent && this.#waiting.length === 0) return start();
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(start);
    });
  }
}
