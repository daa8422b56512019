/**
 * What a job makes piece by piece, on its way to one reader. The maker waits while more than `ahead` pieces are unread. It does not where
 * the whole keeps every piece anyway and is awaited, or nobody reads: a job that is awaited after the one behind it in the queue must not
 * hold that one up for ever. Nor where the whole is awaited and nobody reads. @internal
 */
export class Pieces<T> {
  readonly #ahead: number;
  readonly #kept: boolean;
  readonly #unread: T[] = [];
  #reading = false;
  #awaited = false;
  #ended: { readonly error?: unknown } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeMakers: (() => void)[] = [];

  /** `kept` says that the whole keeps every piece. */
  constructor(ahead: number, kept: boolean) {
    this.#ahead = ahead;
    this.#kept = kept;
  }

  /** Says that the whole is awaited: without a reader, pieces are then let go. */
  expectWhole(): void {
    this.#awaited = true;
    if (!this.#reading) this.#unread.length = 0;
    this.#release();
  }

  /** Resolves when another piece may be made. Rejects with the reason of `signal`. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#unread.length > this.#ahead && !this.#isFree()) {
      await new Promise<void>((resolve, reject) => {
        const abort = () => reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        this.#wakeMakers.push(() => {
          signal.removeEventListener("abort", abort);
          resolve();
        });
      });
    }
    signal.throwIfAborted();
  }

  /** Adds a piece. */
  push(piece: T): void {
    if (this.#awaited && !this.#reading) return;
    this.#unread.push(piece);
    this.#wakeReader?.();
  }

  /** Says that there is no more, for want of more or because of `failure`. */
  end(failure?: { readonly error: unknown }): void {
    this.#ended ??= failure ?? {};
    this.#wakeReader?.();
  }

  /** The pieces, once, in order; `onLeave` is told when the reader leaves before the end. */
  read(onLeave: () => void): AsyncGenerator<T, void, undefined> {
    if (this.#reading) throw new TypeError("the job is being read already: its segments come once");
    this.#reading = true;
    return this.#generate(onLeave);
  }

  async *#generate(onLeave: () => void): AsyncGenerator<T, void, undefined> {
    let complete = false;
    try {
      for (;;) {
        const piece = this.#unread.shift();
        if (piece !== undefined) {
          this.#release();
          yield piece;
        } else if (this.#ended) {
          complete = true;
          if ("error" in this.#ended) throw this.#ended.error;
          return;
        } else await new Promise<void>((resolve) => (this.#wakeReader = resolve));
      }
    } finally {
      if (!complete) onLeave();
    }
  }

  #isFree(): boolean {
    return this.#reading ? this.#awaited && this.#kept : this.#awaited || this.#kept;
  }

  #release(): void {
    for (const wake of this.#wakeMakers.splice(0)) wake();
  }
}
