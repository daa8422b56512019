import { Line } from "../line.js";
import type { WorkerLink } from "./link.js";

/** A worker whose memory has grown past this is not kept: linear memory never shrinks, and the next job may need little. 256 MiB. */
const KEPT_MEMORY_BYTES = 256 * 1024 * 1024;

/** Workers of one kind, each lent to one task at a time. Dead ones are replaced when next needed. */
export class WorkerPool {
  readonly #line: Line;
  readonly #start: () => Promise<WorkerLink>;
  readonly #idle: WorkerLink[] = [];
  readonly #lent = new Set<WorkerLink>();
  #closed: unknown;

  /** `size` workers at most, each made by `start` when first needed. */
  constructor(size: number, start: () => Promise<WorkerLink>) {
    this.#line = new Line(size);
    this.#start = start;
  }

  /** Workers that are alive. */
  get alive(): number {
    return this.#idle.length + this.#lent.size;
  }

  /** Runs `task` with a worker of its own, when one is free. Aborting `signal` meanwhile leaves the line. */
  use<T>(signal: AbortSignal | undefined, task: (link: WorkerLink) => Promise<T>): Promise<T> {
    return this.#line.run(async () => {
      const link = await this.#take();
      try {
        return await task(link);
      } finally {
        this.#giveBack(link);
      }
    }, signal);
  }

  /** Ends all workers; their calls, and all later ones, reject with `reason`. */
  close(reason: unknown): void {
    this.#closed = reason;
    for (const link of [...this.#idle, ...this.#lent]) link.close(reason);
    this.#idle.length = 0;
  }

  async #take(): Promise<WorkerLink> {
    if (this.#closed !== undefined) throw this.#closed;
    const link = this.#idle.pop() ?? (await this.#start());
    this.#lent.add(link);
    // It may have been closed while the worker started.
    if (this.#closed !== undefined) link.close(this.#closed);
    return link;
  }

  #giveBack(link: WorkerLink): void {
    this.#lent.delete(link);
    if (link.dead) return;
    if (link.memoryBytes > KEPT_MEMORY_BYTES) link.close(undefined);
    else this.#idle.push(link);
  }
}
