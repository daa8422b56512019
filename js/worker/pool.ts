import type { WorkerLink } from "./link.js";

/** A worker whose memory has grown past this is not kept: linear memory never shrinks, and the next job may need little. 256 MiB. */
const KEPT_MEMORY_BYTES = 256 * 1024 * 1024;

/** Workers of one kind, each lent to one task at a time. Dead ones are replaced when next needed. */
export class WorkerPool {
  readonly #size: number;
  readonly #start: () => Promise<WorkerLink>;
  readonly #idle: WorkerLink[] = [];
  readonly #lent = new Set<WorkerLink>();
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  #closed: unknown;

  /** `size` workers at most, each made by `start` when first needed. */
  constructor(size: number, start: () => Promise<WorkerLink>) {
    this.#size = size;
    this.#start = start;
  }

  /** Workers that are alive. */
  get alive(): number {
    return this.#idle.length + this.#lent.size;
  }

  /** Runs `task` with a worker of its own, when one is free. Aborting `signal` meanwhile leaves the line. */
  async use<T>(signal: AbortSignal | undefined, task: (link: WorkerLink) => Promise<T>): Promise<T> {
    await this.#turn(signal);
    let link: WorkerLink | undefined;
    try {
      if (this.#closed !== undefined) throw this.#closed;
      link = this.#idle.pop() ?? (await this.#start());
      if (this.#closed !== undefined) {
        link.close(this.#closed);
        throw this.#closed;
      }
      this.#lent.add(link);
      return await task(link);
    } finally {
      this.#taken -= 1;
      if (link) this.#giveBack(link);
      this.#waiting.shift()?.();
    }
  }

  /** Ends all workers; their calls, and all later ones, reject with `reason`. */
  close(reason: unknown): void {
    this.#closed = reason;
    for (const link of [...this.#idle, ...this.#lent]) link.close(reason);
    this.#idle.length = 0;
  }

  #giveBack(link: WorkerLink): void {
    this.#lent.delete(link);
    if (link.dead) return;
    if (link.memoryBytes > KEPT_MEMORY_BYTES) {
      link.close(undefined);
      return;
    }
    this.#idle.push(link);
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#taken >= this.#size || this.#waiting.length > 0) {
      await new Promise<void>((resolve, reject) => {
        const enter = () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        };
        const leave = () => {
          this.#waiting.splice(this.#waiting.indexOf(enter), 1);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", leave, { once: true });
        this.#waiting.push(enter);
      });
    }
    this.#taken += 1;
  }
}
