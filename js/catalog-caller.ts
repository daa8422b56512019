import { messageOf, type OtolithError } from "./errors.js";
import type { FingerprintAlgorithm, FingerprintProfile } from "./fingerprint.js";
import { Line } from "./line.js";
import { carryOut, type StorageAdapter, storageFailure } from "./storage/adapter.js";
import type { WorkerLink } from "./worker/link.js";
import type { CatalogAnswer, CatalogCommand, CatalogOpening, CatalogTurn } from "./worker/protocol.js";

/** What an opened catalogue turned out to be. @internal */
export interface OpenedCatalog {
  readonly storage: string;
  readonly algorithm: FingerprintAlgorithm;
  readonly profile: FingerprintProfile;
}

/**
 * The page's side of a catalogue's calls: one after the other, each in turns with the worker, between which an adapter of the page's is
 * asked, pieces are given or taken. @internal
 */
export class CatalogCaller {
  readonly #link: WorkerLink;
  readonly #adapter: StorageAdapter | undefined;
  readonly #line = new Line(1);
  #adapterIsOpen = false;
  #closed: unknown;

  constructor(link: WorkerLink, adapter: StorageAdapter | undefined) {
    this.#link = link;
    this.#adapter = adapter;
  }

  /** Opens the catalogue. */
  open(opening: CatalogOpening): Promise<OpenedCatalog> {
    return this.#line.run(async () => {
      if (this.#adapter) {
        await this.#adapter.open?.();
        this.#adapterIsOpen = true;
      }
      const outcome = (await this.#finish(await this.#link.call("openCatalog", opening))) as OpenedCatalog;
      return this.#adapter ? { ...outcome, storage: this.#adapter.name ?? "adapter" } : outcome;
    }, undefined);
  }

  /** Makes a call, with the pieces that it wants. */
  call(command: CatalogCommand, input?: AsyncGenerator<Uint8Array, void, undefined>): Promise<unknown> {
    return this.#run(async () => this.#finish(await this.#link.call("catalogCall", command), input));
  }

  /** Asks the worker something between calls. */
  ask<T>(question: (link: WorkerLink) => Promise<T>): Promise<T> {
    return this.#run(() => question(this.#link));
  }

  /** The pieces that a call gives. Other calls wait until the last is taken or the generator is left. */
  async *pieces(command: CatalogCommand): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    await new Promise<void>((begin, fail) => {
      this.#run(() => {
        begin();
        return left;
      }).catch(fail);
    });
    let turn: CatalogTurn | undefined;
    try {
      turn = await this.#settle(await this.#link.call("catalogCall", command));
      while (turn.kind === "piece") {
        yield turn.piece;
        turn = await this.#settle(await this.#link.call("catalogAnswer", {}));
      }
    } finally {
      if (turn?.kind === "piece") await this.#abandon("nobody reads the export any more");
      leave();
    }
  }

  /** Waits for the calls so far, then ends the worker; later calls reject with `reason`. */
  async close(reason: unknown): Promise<void> {
    this.#closed ??= reason;
    await this.#line.run(async () => {
      if (!this.#link.dead) await this.#link.call("closeCatalog", {}).catch(() => {});
      this.#link.close(reason);
      if (this.#adapterIsOpen) await this.#adapter?.close?.();
      this.#adapterIsOpen = false;
    }, undefined);
  }

  #run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return this.#line.run(action, undefined);
  }

  /** Takes a call from a turn to its end. */
  async #finish(first: CatalogTurn, input?: AsyncGenerator<Uint8Array, void, undefined>): Promise<unknown> {
    let turn = await this.#settle(first);
    try {
      while (turn.kind === "wants") {
        const answer = await this.#piece(input);
        turn = await this.#settle(await this.#link.call("catalogAnswer", answer));
      }
    } finally {
      await input?.return();
    }
    return turn.kind === "done" ? turn.outcome : undefined;
  }

  async #piece(input: AsyncGenerator<Uint8Array, void, undefined> | undefined): Promise<CatalogAnswer> {
    try {
      return { piece: (await input?.next())?.value ?? undefined };
    } catch (thrown) {
      await this.#abandon(messageOf(thrown));
      throw thrown;
    }
  }

  /** Answers what a turn asks of the adapter, until it asks for something else. */
  async #settle(first: CatalogTurn): Promise<CatalogTurn> {
    let turn = first;
    let failure: unknown;
    try {
      while (turn.kind === "requests") {
        let answer: CatalogAnswer;
        try {
          // Without an adapter the worker carries them out itself.
          answer = { replies: await carryOut(this.#adapter as StorageAdapter, turn.requests) };
        } catch (thrown) {
          failure = thrown;
          answer = storageFailure(thrown as OtolithError);
        }
        turn = await this.#link.call("catalogAnswer", answer);
      }
    } catch (thrown) {
      // Rust tells of it in words of its own; the adapter's error has the data.
      const isStorage = typeof thrown === "object" && thrown !== null && "code" in thrown && thrown.code === "storage";
      throw isStorage && failure !== undefined ? failure : thrown;
    }
    return turn;
  }

  /** Ends the call under way. */
  async #abandon(why: string): Promise<void> {
    try {
      await this.#settle(await this.#link.call("catalogAnswer", { abandoned: why }));
    } catch {
      // That is how an abandoned call ends.
    }
  }
}
