import { OtolithError } from "../errors.js";
import { carryOut, type StorageAdapter, storageFailure } from "../storage/adapter.js";
import { chooseStorage } from "../storage/choose.js";
import { type Call, isTrap } from "./call.js";
import type { CatalogAnswer, CatalogCommand, CatalogOpening, CatalogTurn } from "./protocol.js";
import type { Catalog, CoreRooms } from "./rooms.js";

/** The catalogue of a worker: steps its calls, and does what they ask for where the storage is in reach of the worker. */
export class CatalogDesk {
  readonly #rooms: CoreRooms;
  #catalog: Catalog | undefined;
  #storage: StorageAdapter | undefined;
  #isOpening = false;
  /** The error that a storage gave, in place of Rust's account of it. */
  #failure: unknown;

  constructor(rooms: CoreRooms) {
    this.#rooms = rooms;
  }

  /** The catalogue, between calls. */
  get catalog(): Catalog {
    if (!this.#catalog) throw new OtolithError("internal", "no catalogue is open in this worker");
    return this.#catalog;
  }

  /** Opens a catalogue. */
  async open({ name, storage, options }: CatalogOpening, call: Call): Promise<CatalogTurn> {
    this.#storage = storage === "adapter" ? undefined : await chooseStorage(storage, name);
    const isStored = storage === "adapter" || this.#storage !== undefined;
    this.#catalog = new this.#rooms.Catalog({ ...options, isStored });
    if (!isStored) return this.#opened();
    this.#isOpening = true;
    return this.#drive(call);
  }

  /** Begins a call and steps it as far as it goes. */
  async begin(command: CatalogCommand, call: Call): Promise<CatalogTurn> {
    const { catalog } = this;
    switch (command.kind) {
      case "enrol": {
        const print = this.#rooms.Print.fromBytes(command.print);
        try {
          catalog.enrol(command.id, command.metadata, print, command.replace);
        } finally {
          print.free();
        }
        break;
      }
      case "enrolAudiofp":
        catalog.enrolAudiofp(command.id, command.metadata, command.blob, command.replace);
        break;
      case "match": {
        const print = this.#rooms.Print.fromBytes(command.print);
        try {
          catalog.match(print, command.options);
        } finally {
          print.free();
        }
        break;
      }
      case "remove":
        catalog.remove(command.id);
        break;
      case "compact":
      case "export":
      case "import":
        catalog[command.kind]();
        break;
    }
    return this.#drive(call);
  }

  /** Answers what the last turn asked for, and steps on. */
  async resume(answer: CatalogAnswer, call: Call): Promise<CatalogTurn> {
    const { catalog } = this;
    if ("replies" in answer) catalog.answer(answer.replies);
    else if ("failed" in answer) catalog.fail(answer.failed, answer.isFull);
    else if ("abandoned" in answer) catalog.abandon(answer.abandoned);
    else if ("piece" in answer) catalog.give(answer.piece);
    return this.#drive(call);
  }

  /** Lets go of catalogue and storage. */
  async close(): Promise<void> {
    this.#catalog?.free();
    this.#catalog = undefined;
    await this.#storage?.close?.();
    this.#storage = undefined;
  }

  async #drive(call: Call): Promise<CatalogTurn> {
    const { catalog } = this;
    try {
      for (;;) {
        const step = catalog.step();
        switch (step.kind) {
          case "working":
            await call.pause();
            break;
          case "requests":
            if (!this.#storage) return step;
            await this.#carryOut(this.#storage, catalog, step.requests);
            break;
          case "done":
            this.#failure = undefined;
            return this.#isOpening ? this.#opened() : { kind: "done", outcome: catalog.outcome() };
          default:
            return step;
        }
      }
    } catch (thrown) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (this.#isOpening && !isTrap(thrown)) await this.close();
      throw failure !== undefined && isStorageError(thrown) ? failure : thrown;
    }
  }

  async #carryOut(storage: StorageAdapter, catalog: Catalog, requests: Parameters<typeof carryOut>[1]): Promise<void> {
    try {
      catalog.answer(await carryOut(storage, requests));
    } catch (thrown) {
      this.#failure = thrown;
      const { failed, isFull } = storageFailure(thrown as OtolithError);
      catalog.fail(failed, isFull);
    }
  }

  #opened(): CatalogTurn {
    this.#isOpening = false;
    const { algorithm, profile } = this.catalog;
    return { kind: "done", outcome: { storage: this.#storage?.name ?? "memory", algorithm, profile } };
  }
}

function isStorageError(thrown: unknown): boolean {
  return typeof thrown === "object" && thrown !== null && "code" in thrown && thrown.code === "storage";
}
