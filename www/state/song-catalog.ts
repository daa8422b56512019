import type { Catalog, Engine, Match } from "otolith";
import type { JobHandle } from "./job-desk.js";
import type { Song, Sound } from "./song.js";

/** Size of an enrolled fingerprint, and of the file it was made from. */
export interface PrintSize {
  readonly hashes: number;
  readonly bytes: number;
  readonly fileBytes: number;
}

/** The page's catalogue: which songs are in it, and what a clip is from. */
export class SongCatalog {
  /** What is enrolled, by title. */
  readonly enrolled = new Map<string, PrintSize>();
  #catalog: Promise<Catalog> | null = null;

  constructor(private readonly engine: Engine) {}

  /** Whether this very song is enrolled, and not another of its title. */
  has(song: Song): boolean {
    return this.enrolled.get(song.title)?.fileBytes === song.file.size;
  }

  /** Adds a song, in place of one with its title. */
  async enrol(song: Song, handle: JobHandle): Promise<void> {
    const { title, file } = song;
    const print = await this.#use((catalog) => catalog.enrol(file, { id: title, metadata: { title }, replace: true, ...handle }));
    this.enrolled.set(title, { hashes: print.hashCount, bytes: print.bytes().byteLength, fileBytes: file.size });
  }

  /** Songs that contain a sound, the most certain first. */
  match(input: File | Sound, handle: JobHandle): Promise<Match[]> {
    return this.#use((catalog) => catalog.match(input, { top: 5, ...handle }));
  }

  async #use<T>(work: (catalog: Catalog) => PromiseLike<T>): Promise<T> {
    this.#catalog ??= this.engine.openCatalog({ name: "playground", algorithm: "wang" });
    const catalog = await this.#catalog;
    try {
      return await work(catalog);
    } catch (error) {
      await this.#forgetIfDead(catalog);
      throw error;
    }
  }

  /** A catalogue whose worker has died answers nothing any more: the next call opens an empty one. */
  async #forgetIfDead(catalog: Catalog): Promise<void> {
    try {
      await catalog.stats();
    } catch {
      catalog.close();
      this.#catalog = null;
      this.enrolled.clear();
    }
  }
}
