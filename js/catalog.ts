import { abortable } from "./abortable.js";
import { callOptions, openSound, SOUND_OPTIONS, type SoundOptions, type Workshop } from "./analysis.js";
import { type AudioInput, holdInput } from "./audio-input.js";
import { disposedError, OtolithError } from "./errors.js";
import {
  EXTRACTION_OPTIONS,
  type ExtractionOptions,
  Fingerprint,
  type FingerprintAlgorithm,
  type FingerprintProfile,
  readExtraction,
} from "./fingerprint.js";
import { Job, type JobContext, readJobOptions } from "./job.js";
import { OptionReader, show } from "./options.js";
import type { WorkerLink } from "./worker/link.js";
import type { FingerprintSettings, PrintData } from "./worker/protocol.js";

/** Options of `engine.openCatalog`: besides the following, how sounds that are enrolled or matched become prints. */
export interface CatalogOptions extends ExtractionOptions {
  /** Name of the catalogue. Opening a name that is open gives the same catalogue. Default "default". */
  readonly name?: string;
  /** Where it is kept. `auto` (default) takes the best there is, which `catalog.storage` names; in this version that is `memory`. */
  readonly storage?: "auto" | "memory";
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
  /** Least confidence of a match, 0..1. */
  readonly minConfidence?: number;
}

/** A track that a sound was found in. */
export interface Match {
  /** The id it was enrolled with. */
  readonly id: string;
  /** The metadata it was enrolled with. */
  readonly metadata: unknown;
  /** 0..1: share of right ones among matches with this much evidence. */
  readonly confidence: number;
  /** Landmarks of the query that agree on the offset. */
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
  /** Bytes held. */
  readonly bytes: number;
}

/** What a catalogue is opened with, checked. @internal */
export interface CatalogSettings {
  readonly name: string;
  readonly extraction: FingerprintSettings;
}

/** Checks the options of `openCatalog`. @internal */
export function readCatalogOptions(options: unknown): CatalogSettings {
  const reader = new OptionReader(options, "options", ["name", "storage", ...EXTRACTION_OPTIONS]);
  reader.oneOf("storage", ["auto", "memory"] as const);
  return { name: reader.string("name") ?? "default", extraction: readExtraction(reader) };
}

/**
 * Prints of tracks, to ask which of them a sound comes from. It lives in a worker of its own, in memory: gone when it is closed, unless
 * exported. Should that worker crash, every later call rejects with `crashed`: open it anew and import or enrol again.
 */
export class Catalog {
  /** Its name. */
  readonly name: string;
  /** Algorithm of its prints. */
  readonly algorithm: FingerprintAlgorithm;
  /** Profile of its prints. */
  readonly profile: FingerprintProfile;
  /** Where it is kept. */
  readonly storage = "memory";
  readonly #workshop: Workshop;
  readonly #link: WorkerLink;
  readonly #extraction: FingerprintSettings;
  readonly #onClose: () => void;
  readonly #track: <J extends Job<unknown>>(job: J) => J;

  /** @internal Made by `engine.openCatalog`. */
  constructor(
    settings: CatalogSettings,
    workshop: Workshop,
    link: WorkerLink,
    onClose: () => void,
    track: <J extends Job<unknown>>(job: J) => J,
  ) {
    this.name = settings.name;
    this.algorithm = settings.extraction.algorithm ?? "wang";
    this.profile = settings.extraction.profile ?? "default";
    this.#extraction = settings.extraction;
    this.#workshop = workshop;
    this.#link = link;
    this.#onClose = onClose;
    this.#track = track;
  }

  /**
   * Adds a track: a sound, or the print of one. A cancel leaves no track, unless it comes in the very moment of adding.
   *
   * Errors: those of `engine.fingerprint`; `invalid-input` for a known id without `replace`, an id or metadata out of bounds, a print
   * of another algorithm or profile; `limit` for a full catalogue.
   */
  enrol(input: AudioInput | Fingerprint, options: EnrolOptions): Job<Fingerprint> {
    const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "id", "metadata", "replace"]);
    const id = reader.string("id");
    if (id === undefined) throw reader.wrong("id", "a string that is not empty");
    const metadata = metadataJson(reader);
    const replace = reader.boolean("replace") ?? false;
    return this.#printJob(input, reader, async (print) => {
      await this.#link.call("enrol", { id, metadata, print: print.bytes(), replace });
      return print;
    });
  }

  /**
   * Tracks that contain the sound, the most certain first; empty if there is none.
   *
   * Errors: those of `engine.fingerprint`; `invalid-input` for a print of another algorithm or profile.
   */
  match(input: AudioInput | Fingerprint, options?: MatchOptions): Job<Match[]> {
    const reader = new OptionReader(options, "options", [...SOUND_OPTIONS, "top", "perTrack", "minConfidence"]);
    const top = reader.number("top", { min: 1, max: 100, whole: true });
    const perTrack = reader.number("perTrack", { min: 1, max: 10, whole: true });
    const minConfidence = reader.number("minConfidence", { min: 0, max: 1 });
    const settings = {
      ...(top !== undefined && { top }),
      ...(perTrack !== undefined && { perTrack }),
      ...(minConfidence !== undefined && { minConfidence }),
    };
    return this.#printJob(input, reader, (print) => this.#link.call("match", { print: print.bytes(), options: settings }));
  }

  /** Takes a track out. False if there was none of that id. */
  async remove(id: string): Promise<boolean> {
    return this.#link.call("removeTrack", { id: checkedId(id) });
  }

  /** Whether there is a track of that id. */
  async has(id: string): Promise<boolean> {
    return this.#link.call("hasTrack", { id: checkedId(id) });
  }

  /** The ids of its tracks, in their order. */
  async ids(): Promise<string[]> {
    return this.#link.call("trackIds", {});
  }

  /** Its figures. */
  async stats(): Promise<CatalogStats> {
    return this.#link.call("catalogStats", {});
  }

  /** All of it as one file. */
  async export(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#link.call("exportCatalog", {});
  }

  /**
   * Replaces its content by that of an exported file. A file that is refused leaves it as it was.
   *
   * Errors: `invalid-input` for bytes that are damaged or no catalogue, or one of another algorithm or version.
   */
  async import(bytes: ArrayBuffer | Uint8Array): Promise<void> {
    if (!(bytes instanceof ArrayBuffer || bytes instanceof Uint8Array))
      throw new TypeError(`bytes must be an ArrayBuffer or Uint8Array, got ${show(bytes)}`);
    await this.#link.call("importCatalog", { bytes: new Uint8Array(bytes) });
  }

  /** Gives its memory back. Later calls reject with `disposed`. */
  close(): void {
    this.#link.close(disposedError(`catalogue ${this.name}`));
    this.#onClose();
  }

  /** As {@link Catalog.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #printJob<T>(input: AudioInput | Fingerprint, reader: OptionReader, action: (print: Fingerprint) => Promise<T>): Job<T> {
    const options = readJobOptions(reader);
    const held = input instanceof Fingerprint ? input : holdInput(input, reader);
    const work = (job: JobContext) =>
      this.#workshop.analyses.run(async () => {
        job.started();
        const print = held instanceof Fingerprint ? held : new Fingerprint(await this.#extract(held, job));
        job.signal.throwIfAborted();
        // From here on a cancel ends the wait only: it must never end the worker, which holds the catalogue.
        return abortable(action(print), job.signal);
      }, job.signal);
    return this.#track(new Job(work, options));
  }

  async #extract(held: ReturnType<typeof holdInput>, job: JobContext): Promise<PrintData> {
    const sound = await openSound(this.#workshop, held, job);
    return this.#workshop.core.use(job.signal, (link) =>
      link.call("fingerprint", { ...sound, options: this.#extraction }, callOptions(job, sound)),
    );
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

function checkedId(id: unknown): string {
  if (typeof id !== "string" || id === "") throw new TypeError(`id must be a string that is not empty, got ${show(id)}`);
  return id;
}

/** The error of opening a name that is open with other settings. @internal */
export function openedOtherwise(name: string): OtolithError {
  return new OtolithError("invalid-input", `catalogue ${name} is open with other options: close it first, or choose another name`);
}
