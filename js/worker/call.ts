import type { JobPhase } from "../job.js";
import type { FromWorker } from "./protocol.js";
import type { Freeable, Stepper } from "./rooms.js";

/** Thrown inside a call that the page has cancelled. */
export class Cancelled extends Error {}

/** One call under way in a worker: it reports, and it learns of its cancel between steps. */
export class Call {
  readonly id: number;
  readonly #post: (message: FromWorker) => void;
  #cancelled = false;
  #phase: JobPhase | undefined;
  #reported = 0;

  constructor(id: number, post: (message: FromWorker) => void) {
    this.id = id;
    this.#post = post;
  }

  /** Marks the call: its next pause throws. */
  cancel(): void {
    this.#cancelled = true;
  }

  /** Posts progress, at most a hundred messages a phase. */
  report(phase: JobPhase, done: number, total: number): void {
    if (phase === this.#phase && done < total && done - this.#reported < total / 100) return;
    this.#phase = phase;
    this.#reported = done;
    this.#post({ kind: "progress", id: this.id, phase, done, total });
  }

  /** Lets messages in, then throws if one of them cancelled this call. */
  async pause(): Promise<void> {
    await macrotask();
    if (this.#cancelled) throw new Cancelled();
  }

  /** Steps `stepper` to its end with a pause after each step. On failure or cancel it is freed. */
  async drive(stepper: Pick<Stepper<unknown>, "step" | "progress" | "free">, phase: JobPhase): Promise<void> {
    try {
      this.report(phase, 0, 1);
      while (stepper.step()) {
        this.report(phase, stepper.progress(), 1);
        await this.pause();
      }
      this.report(phase, 1, 1);
      await this.pause();
    } catch (thrown) {
      // After a trap the instance is dead, and freeing would only trap again.
      if (!isTrap(thrown)) stepper.free();
      throw thrown;
    }
  }
}

/** True for what only a dying wasm instance throws, or what leaves it in the middle of a call. */
export function isTrap(thrown: unknown): boolean {
  return (
    thrown instanceof WebAssembly.RuntimeError ||
    (thrown instanceof RangeError && /call stack/i.test(thrown.message)) ||
    isExhaustion(thrown) ||
    isStackOverflow(thrown)
  );
}

/** True if an array outside linear memory could not be had, or, at the start, linear memory itself. */
export function isExhaustion(thrown: unknown): boolean {
  return thrown instanceof RangeError && /allocation|out of memory/i.test(thrown.message);
}

/** Uses `object` and frees it, whatever happens short of a trap. */
export function use<T extends Freeable, R>(object: T, action: (object: T) => R): R {
  let result: R;
  try {
    result = action(object);
  } catch (thrown) {
    if (!isTrap(thrown)) object.free();
    throw thrown;
  }
  object.free();
  return result;
}

/** Firefox has its own class for an exhausted stack. */
function isStackOverflow(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "InternalError";
}

let channel: MessageChannel | undefined;
const waiting: (() => void)[] = [];

/**
 * Comes back when other messages have had their turn. In a browser by a message and not a timer: nested timers are clamped to 4 ms, in
 * background tabs to a second. In Node not by a message: its ports handle up to a thousand of their own before another's.
 */
function macrotask(): Promise<void> {
  if (typeof setImmediate === "function") return new Promise((resolve) => setImmediate(resolve));
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  const { port2 } = channel;
  return new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  });
}
