import { abortable } from "./abortable.js";
import { SOUND_OPTIONS, type SoundOptions } from "./analysis.js";
import { type AudioInput, holdInput } from "./audio-input.js";
import type { BeatWorkshop } from "./beat-network.js";
import { CatalogCaller, type OpenedCatalog } from "./catalog-caller.js";
import { disposedError, OtolithError } from "./errors.js";
import {
  EXTRACTION_OPTIONS,
  type ExtractionOptions,
  type ExtractionSettings,
  extract,
  Fingerprint,
  type FingerprintAlgorithm,
  type FingerprintProfile,
  readExtraction,
} from "./fingerprint.js";
import { Job, type JobContext, readJobOptions } from "./job.js";
import { OptionReader, show } from "./options.js";
import { ADAPTER_METHODS, type StorageAdapter } from "./storage/adapter.js";
import type { LocalStorage } from "./storage/choose.js";
import type { WorkerLink } from "./worker/link.js";

/** Bytes of a file that cross to the worker at once. */
const PIECE_BYTES = 1 << 20;

/** Options of `engine.openCatalog`: besides the following, how sounds that are enrolled or matched become prints. */
export interface CatalogOptions extends ExtractionOptions {
  /** Name of the catalogue, at most 200 characters. Opening a name that is open gives the same catalogue. Default "default". */
  readonly name?: string;
  /**
   * Where it is kept. `auto` (default) takes the first of `opfs` (the origin private file system), `indexeddb` and `memory` that there
   * is, `memory` in Node; `catalog.storage` names it. An adapter keeps it where you like; `folderStorage(path)` is one for Node.
   */
  readonly storage?: "auto" | "opfs" | "indexeddb" | "memory" | StorageAdapter;
  /**
   * Bytes of postings that are kept in memory, where they are stored too; the others are read from storage by every match. Default
   * 64 MiB, about 1 500 songs.
   */
  readonly residentBytes?: number;
}

/** Options of `catalog.enrol`. */
export interface EnrolOptions extends SoundOptions {
  /** Your name for the track, 1..256 bytes of UTF-8. */
  readonly id: string;
  /** Anything that JSON holds, at most 4 096 bytes of it; it comes back with each match. */
  readonly metadata?: unknown;
  /** Whether a track of that id is replaced. Default false: a known id is refused. */
  readonly replace?: boolean;
}

/** Options of `catalog.match`. */
export interface MatchOptions extends SoundOptions {
  /** Most matches given, 1..100. Default 5. */
  readonly top?: number;
  /** Most matches given of one track, 1..10, since a clip may recur in it. Default 1. */
  readonly perTrack?: number;
  /** Least confidence of a match, 0..1. Default: the one that lets one stranger in a thousand pass. */
  readonly minConfidence?: number;
  /** For `panako`: largest change of tempo, pitch or speed that is looked for, 0..0.25. Default 0.16. */
  readonly maxChange?: number;
}

/** A track that a sound was found in. */
export interface Match {
  /** The id it was enrolled with. */
  readonly id: string;
  /** The metadata it was enrolled with. */
  readonly metadata: unknown;
  /** 0..1: share of right ones among matches with this much evidence. */
  readonly confidence: number;
  /** Landmarks of the query that agree on the place. */
  readonly votes: number;
  /** Position in the track, in seconds, at which the query starts; negative if the query starts earlier. */
  readonly offset: number;
  /** Tempo of the query over that of the track. */
  readonly timeScale: number;
  /** Pitch of the query over that of the track. */
  readonly pitchScale: number;
  /** Seconds into the query at which agreement starts. */
  readonly queryStart: number;
  /** Seconds into the query at which agreement ends. */
  readonly queryEnd: number;
  /** Seconds into the track at which agreement starts. */
  readonly refStart: number;
  /** Seconds into the track at which agreement ends. */
  readonly refEnd: number;
  /** Votes of this track by offset: bins of `step` seconds from `start` seconds. */
  readonly histogram?: { readonly start: number; readonly step: number; readonly counts: ArrayLike<number> };
}

/** A track as a catalogue lists it. */
export interface TrackEntry {
  /** The id it was enrolled with. */
  readonly id: string;
  /** The metadata it was enrolled with. */
  readonly metadata: unknown;
  /** Seconds. */
  readonly duration: number;
  /** Hashes it was enrolled with. */
  readonly hashCount: number;
}

/** Figures of a catalogue. */
export interface CatalogStats {
  /** Name of the algorithm. */
  readonly algorithm: string;
  /** Name of the profile. */
  readonly profile: FingerprintProfile;
  /** Tracks. */
  readonly tracks: number;
  /** Parts that long tracks are cut into. */
  readonly parts: number;
  /** Sum of the tracks' lengths. */
  readonly seconds: number;
  /** Places of hashes, those of removed tracks included. */
  readonly postings: number;
  /** Places of hashes of removed tracks. */
  readonly deadPostings: number;
  /** Removed tracks that still have places. */
  readonly tombstones: number;
  /** Sorted segments that the places lie in. */
  readonly segments: number;
  /** Bytes in memory, about. */
  readonly bytes: number;
  /** Bytes of places and their directories, in memory or in storage. */
  readonly postingBytes: number;
  /** Bytes in storage. */
  readonly storedBytes: number;
  /** Share of directory buckets that are not empty, 0..1. */
  readonly directoryFill: number;
  /** The ten keys with most places. */
  readonly heaviestKeys: readonly { readonly key: number; readonly postings: number }[];
  /** What opening it had to do without: bytes of changes that had not ended, and damaged files that older ones made up for. */
  readonly recovered: { readonly droppedBytes: number; readonly damagedFiles: readonly string[] };
  /** Why segments could not be merged when it was due, or null; it is tried again after the next change. */
  readonly overdue: string | null;
  /** Where it is kept. */
  readonly storage: string;
}

/** What a catalogue is opened with, checked. @internal */
export interface CatalogSettings {
  readonly name: string;
  readonly storage: LocalStorage | StorageAdapter;
  readonly residentBytes: number | undefined;
  readonly extraction: ExtractionSettings;
}

/** What a catalogue works with. @internal */
export interface CatalogParts {
  readonly workshop: BeatWorkshop;
  readonly link: WorkerLink;
  /** Told when it is closed, with the promise of its having let go of everything. */
  readonly closing: (closed: Promise<void>) => void;
  readonly track: <J extends Job<unknown>>(job: J) => J;
}

/** Checks the options of `openCatalog`. @internal */
export function readCatalogOptions(options: unknown): CatalogSettings {
  const reader = new OptionReader(options, "options", ["name", "storage", "residentBytes", ...EXTRACTION_OPTIONS]);
  const name = reader.string("name") ?? "default";
  if (name.length > 200) throw reader.wrong("name", "a string of at most 200 characters");
  const residentBytes = reader.number("residentBytes", { min: 0, max: 2 ** 32, whole: true });
  return { name, storage: readStorage(reader), residentBytes, extraction: readExtraction(reader) };
}

const LOCAL_STORAGES = ["auto", "opfs", "indexeddb", "memory"] as const;

function readStorage(reader: OptionReader): CatalogSettings["storage"] {
  const storage = reader.any("storage");
  if (typeof storage !== "object" || storage === null) return reader.oneOf("storage", LOCAL_STORAGES) ?? "auto";
  const missing = ADAPTER_METHODS.find((method) => typeof (storage as Partial<StorageAdapter>)[method] !== "function");
  if (missing !== undefined) throw reader.wrong("storage", `an adapter with a function ${missing}, or one of ${LOCAL_STORAGES.join(", ")}`);
  return storage as StorageAdapter;
}

/** Whether two openings are of the same catalogue in the same way. @internal */
export function isSameCatalog(one: CatalogSettings, other: CatalogSettings): boolean {
  return one.storage === other.storage && JSON.stringify({ ...one, storage: 0 }) === JSON.stringify({ ...other, storage: 0 });
}

/**
 * Prints of tracks, to ask which of them a sound comes from. It lives in a worker of its own and is kept in its storage: what a call has
 * changed is still so after a crash or a power cut. Calls take effect in their order. Should its worker crash, every later call rejects
 * with `crashed`: close it and open it anew.
 */
export class Catalog {
  /** Its name. */
  readonly name: string;
  /** Algorithm of its prints. */
  readonly algorithm: FingerprintAlgorithm;
  /** Profile of its prints. */
  readonly profile: FingerprintProfile;
  /** Where it is kept: `opfs`, `indexeddb`, `memory` or the name of an adapter. */
  readonly storage: string;
  readonly #parts: CatalogParts;
  readonly #caller: CatalogCaller;
  readonly #extraction: ExtractionSettings;
  #closed: Promise<void> | undefined;

  private constructor(settings: CatalogSettings, parts: CatalogParts, caller: CatalogCaller, opened: OpenedCatalog) {
    this.name = settings.name;
    this.algorithm = opened.algorithm;
    this.profile = opened.profile;
    this.storage = opened.storage;
    this.#extraction = { ...settings.extraction, algorithm: opened.algorithm, profile: opened.profile };
    this.#parts = parts;
    this.#caller = caller;
  }

  /** Opens what is stored. @internal */
  static async open(settings: CatalogSettings, parts: CatalogParts): Promise<Catalog> {
    const caller = new CatalogCaller(parts.link, typeof settings.storage === "string" ? undefined : settings.storage);
    const { algorithm, profile } = settings.extraction;
    const options = {
      ...(algorithm !== undefined && { algorithm }),
      ...(profile !== undefined && { profile }),
      ...(settings.residentBytes !== undefined && { residentBytes: settings.residentBytes }),
    };
    const storage = typeof settings.storage === "string" ? settings.storage : "adapter";
    try {
      return new Catalog(settings, parts, caller, await caller.open({ name: settings.name, storage, options }));
    } catch (thrown) {
      await caller.close(thrown);
      throw thrown;
    }
  }

  /**
   * Adds a track: a sound, or the print of one. A cancel leaves no track, unless it comes in the very moment of adding.
   *
   * Errors: those of `engine.fingerprint`; `invalid-input` for a known id without `replace`, an id or metadata out of bounds, a print
   * of another algorithm, profile or model; `limit` for a full catalogue.
   */
  enrol(input: AudioInput | Fingerprint, options: EnrolOptions): Job<Fingerprint> {
    const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "id", "metadata", "replace"]);
    const id = reader.string("id");
    if (id === undefined) throw reader.wrong("id", "a string that is not empty");
    const metadata = metadataJson(reader);
    const replace = reader.boolean("replace") ?? false;
    return this.#printJob(input, reader, async (print) => {
      await this.#caller.call({ kind: "enrol", id, metadata, print: print.bytes(), replace });
      return print;
    });
  }

  /**
   * Adds a track from the bytes that `to_bytes` of the Rust crate audiofp gave, version 1 of its format: a Wang fingerprint for a
   * catalogue of `wang`, a Haitsma fingerprint for one of `haitsma` with profile `5k`. Gives the number of its hashes that have no place
   * here, as they span more than 63 frames or bins.
   *
   * Errors: `invalid-input` for other bytes, or in a catalogue of another algorithm or of profile `large`; those of `enrol`.
   */
  async enrolAudiofp(bytes: ArrayBuffer | Uint8Array, options: Pick<EnrolOptions, "id" | "metadata" | "replace">): Promise<number> {
    const reader = new OptionReader(options, "options", ["id", "metadata", "replace"]);
    const id = reader.string("id");
    if (id === undefined) throw reader.wrong("id", "a string that is not empty");
    const replace = reader.boolean("replace") ?? false;
    const blob = checkedBytes(bytes);
    return (await this.#caller.call({ kind: "enrolAudiofp", id, metadata: metadataJson(reader), blob, replace })) as number;
  }

  /**
   * Tracks that contain the sound, the most certain first; empty if there is none.
   *
   * Errors: those of `engine.fingerprint`; `invalid-input` for a print of another algorithm or profile.
   */
  match(input: AudioInput | Fingerprint, options?: MatchOptions): Job<Match[]> {
    const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "top", "perTrack", "minConfidence", "maxChange"]);
    const top = reader.number("top", { min: 1, max: 100, whole: true });
    const perTrack = reader.number("perTrack", { min: 1, max: 10, whole: true });
    const minConfidence = reader.number("minConfidence", { min: 0, max: 1 });
    const maxChange = reader.number("maxChange", { min: 0, max: 0.25 });
    const settings = {
      ...(top !== undefined && { top }),
      ...(perTrack !== undefined && { perTrack }),
      ...(minConfidence !== undefined && { minConfidence }),
      ...(maxChange !== undefined && { maxChange }),
    };
    return this.#printJob(
      input,
      reader,
      async (print) => (await this.#caller.call({ kind: "match", print: print.bytes(), options: settings })) as Match[],
    );
  }

  /** Takes a track out. False if there was none of that id. */
  async remove(id: string): Promise<boolean> {
    return (await this.#caller.call({ kind: "remove", id: checkedId(id) })) as boolean;
  }

  /** Whether there is a track of that id. */
  async has(id: string): Promise<boolean> {
    const checked = checkedId(id);
    return this.#caller.ask((link) => link.call("hasTrack", { id: checked }));
  }

  /** The ids of its tracks, in their order. */
  async ids(): Promise<string[]> {
    return this.#caller.ask((link) => link.call("trackIds", {}));
  }

  /** Its tracks, by id. */
  async tracks(): Promise<TrackEntry[]> {
    return this.#caller.ask((link) => link.call("tracks", {}));
  }

  /** Its figures. */
  async stats(): Promise<CatalogStats> {
    const figures = await this.#caller.ask((link) => link.call("catalogStats", {}));
    return { ...figures, storage: this.storage };
  }

  /** Drops what removed tracks left behind and packs everything anew. It happens by itself when they are a fifth of all. */
  async compact(): Promise<void> {
    await this.#caller.call({ kind: "compact" });
  }

  /**
   * All of it as one file, in pieces of at most 64 KiB, made as they are read; `new Response(catalog.export()).blob()` has it whole. Other
   * calls wait until it is read to its end or cancelled.
   */
  export(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const pieces = this.#caller.pieces({ kind: "export" });
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          const { done, value } = await pieces.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: async () => {
          await pieces.return();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * Replaces its content by that of an exported file, when the last byte of it has proved good: a file that is refused leaves it as it was.
   *
   * Errors: `invalid-input` for bytes that are damaged or no catalogue, or one of another algorithm, profile or version.
   */
  async import(file: ArrayBuffer | Uint8Array | Blob | ReadableStream<Uint8Array>): Promise<void> {
    await this.#caller.call({ kind: "import" }, bytesOf(file));
  }

  /**
   * Waits for the calls so far, then lets go of memory and files. Later calls reject with `disposed`.
   */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = this.#caller.close(disposedError(`catalogue ${this.name}`));
      this.#parts.closing(this.#closed);
    }
    return this.#closed;
  }

  /** As {@link Catalog.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #printJob<T>(input: AudioInput | Fingerprint, reader: OptionReader, action: (print: Fingerprint) => Promise<T>): Job<T> {
    const options = readJobOptions(reader);
    const held = input instanceof Fingerprint ? input : holdInput(input, reader);
    const work = (job: JobContext) =>
      this.#parts.workshop.analyses.run(async () => {
        job.started();
        const print =
          held instanceof Fingerprint ? held : new Fingerprint(await extract(this.#parts.workshop, held, this.#extraction, job));
        job.signal.throwIfAborted();
        // From here on a cancel ends the wait only: it must never end the worker, which holds the catalogue.
        return abortable(action(print), job.signal);
      }, job.signal);
    return this.#parts.track(new Job(work, options));
  }
}

function metadataJson(reader: OptionReader): string {
  const metadata = reader.any("metadata") ?? null;
  try {
    const json: unknown = JSON.stringify(metadata);
    if (typeof json === "string") return json;
  } catch (cause) {
    throw new TypeError(`${reader.path("metadata")} must be something that JSON holds`, { cause });
  }
  throw reader.wrong("metadata", "something that JSON holds");
}

/** The bytes of a file, piece by piece. */
async function* bytesOf(file: unknown): AsyncGenerator<Uint8Array, void, undefined> {
  if (file instanceof ReadableStream || (typeof Blob === "function" && file instanceof Blob)) {
    const reader = (file instanceof ReadableStream ? file : file.stream()).getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } finally {
      await reader.cancel();
    }
  }
  const bytes = checkedBytes(file);
  for (let from = 0; from < bytes.byteLength; from += PIECE_BYTES) yield bytes.slice(from, from + PIECE_BYTES);
}

function checkedBytes(bytes: unknown): Uint8Array {
  if (bytes instanceof ArrayBuffer || bytes instanceof Uint8Array) return new Uint8Array(bytes);
  throw new TypeError(`bytes must be an ArrayBuffer, Uint8Array, Blob or ReadableStream, got ${show(bytes)}`);
}

function checkedId(id: unknown): string {
  if (typeof id !== "string" || id === "") throw new TypeError(`id must be a string that is not empty, got ${show(id)}`);
  return id;
}

/** The error of opening a name that is open with other settings. @internal */
export function openedOtherwise(name: string): OtolithError {
  return new OtolithError("invalid-input", `catalogue ${name} is open with other options: close it first, or choose another name`);
}
