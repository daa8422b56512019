import { Line } from "./line.js";
import type { JobPriority, Tier } from "./policy.js";

/** A separation that has not ended. */
export interface QueueEntry {
  /** The job's id. */
  readonly id: string;
  /** `authorizing`: the hook has not answered yet; `queued`: it waits for its turn; `running`. */
  readonly state: "authorizing" | "queued" | "running";
  /** Tier of the job. */
  readonly tier: Tier;
  /** Higher goes first; within one, who was allowed first. */
  readonly priority: JobPriority;
  /** What it uses. */
  readonly capability: string;
  /** Jobs that wait before it; 0 for the next one, null unless it is `queued`. */
  readonly position: number | null;
  /** When it was submitted, in milliseconds since 1970. */
  readonly submittedAt: number;
}

/** What the queue is told of a job. @internal */
export interface Ticket extends Omit<QueueEntry, "state" | "position"> {
  /** Bytes of sound that were copied or given away to the job. */
  readonly bytes: number;
  /** Ends the job. */
  readonly cancel: (reason: unknown) => void;
}

interface Place {
  readonly ticket: Ticket;
  state: QueueEntry["state"];
  /** Order of being allowed. */
  turn: number;
}

/** The separations of an engine, waiting and running: `engine.queue`. */
export class JobQueue {
  readonly #line: Line;
  readonly #places = new Map<string, Place>();
  #turns = 0;

  /** @internal */
  constructor(concurrent: number) {
    this.#line = new Line(concurrent);
  }

  /** Jobs that have not begun. */
  get size(): number {
    return this.#notBegun().length;
  }

  /** Bytes of sound that jobs not begun hold: copied or given buffers and samples. A waiting File, Blob or URL holds none. */
  get bytes(): number {
    return this.#notBegun().reduce((sum, { ticket }) => sum + ticket.bytes, 0);
  }

  /** Every job that has not ended: running, then queued in the order in which they will run, then those being authorized. */
  list(): QueueEntry[] {
    const of = (state: QueueEntry["state"]) => [...this.#places.values()].filter((place) => place.state === state);
    const queued = of("queued").sort((a, b) => b.ticket.priority - a.ticket.priority || a.turn - b.turn);
    return [
      ...of("running").map((place) => entry(place, null)),
      ...queued.map(entry),
      ...of("authorizing").map((place) => entry(place, null)),
    ];
  }

  /** One job; undefined once it has ended. */
  get(id: string): QueueEntry | undefined {
    return this.list().find((one) => one.id === id);
  }

  /**
   * Cancels a job, whether it waits or runs: it rejects with `reason`.
   * @returns false if there is no such job or it has ended
   */
  cancel(id: string, reason: unknown = new DOMException("the job was cancelled", "AbortError")): boolean {
    const place = this.#places.get(id);
    place?.ticket.cancel(reason);
    return place !== undefined;
  }

  /** Lists a job, not yet in the line. @internal */
  enter(ticket: Ticket): void {
    this.#places.set(ticket.id, { ticket, state: "authorizing", turn: 0 });
  }

  /** Puts an entered job into the line and runs `task` at its turn. @internal */
  run<T>(id: string, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const place = this.#places.get(id);
    if (place) Object.assign(place, { state: "queued", turn: this.#turns++ });
    return this.#line.run(
      () => {
        if (place) place.state = "running";
        return task();
      },
      signal,
      place?.ticket.priority,
    );
  }

  /** Forgets a job that has ended. @internal */
  leave(id: string): void {
    this.#places.delete(id);
  }

  #notBegun(): Place[] {
    return [...this.#places.values()].filter(({ state }) => state !== "running");
  }
}

function entry({ ticket, state }: Place, position: number | null): QueueEntry {
  const { id, tier, priority, capability, submittedAt } = ticket;
  return { id, state, tier, priority, capability, position, submittedAt };
}
