import type { Catalog, Engine, Match } from "otolith";
import type { JobHandle } from "./job-desk.js";
import type { Song, Sound } from "./song.js";

/** What the page keeps with an enrolled song. */
export interface EnrolledSong {
  readonly hashes: number;
  /** Size of the file it was made from: another file of the same title is another song. */
  readonly fileBytes: number;
}

/** The page's catalogue, kept in the browser from visit to visit: which songs are in it, and what a clip is from. */
export class SongCatalog {
  /** What is enrolled, by title. */
  readonly enrolled = new Map<string, EnrolledSong>();
  #catalog: Promise<Catalog> | null = null;
  #storage: string | null = null;

  constructor(private readonly engine: Engine) {}

  /** Where it is kept: `opfs`, `indexeddb` or `memory`; null until it is open. */
  get storage(): string | null {
    return this.#storage;
  }

  /** Whether this very song is enrolled, and not another of its title. */
  has(song: Song): boolean {
    return this.enrolled.get(song.title)?.fileBytes === song.file.size;
  }

  /** Finds out what earlier visits have enrolled. */
  async load(): Promise<void> {
    await this.#use((catalog) => this.#list(catalog));
  }

  /** Adds a song, in place of one with its title. */
  async enrol(song: Song, handle: JobHandle): Promise<void> {
    const { title, file } = song;
    await this.#use(async (catalog) => {
      await catalog.enrol(file, { id: title, metadata: { title, fileBytes: file.size }, replace: true, ...handle });
      await this.#list(catalog);
    });
  }

  /** Songs that contain a sound, the most certain first. */
  match(input: File | Sound, handle: JobHandle): Promise<Match[]> {
    return this.#use((catalog) => catalog.match(input, { top: 5, ...handle }));
  }

  /** Takes every song out. */
  async forget(): Promise<void> {
    await this.#use(async (catalog) => {
      for (const id of await catalog.ids()) await catalog.remove(id);
      await catalog.compact();
      await this.#list(catalog);
    });
  }

  async #list(catalog: Catalog): Promise<void> {
    const tracks = await catalog.tracks();
    this.enrolled.clear();
    for (const { id, metadata, hashCount } of tracks) this.enrolled.set(id, { hashes: hashCount, fileBytes: fileBytesOf(metadata) });
  }

  async #use<T>(work: (catalog: Catalog) => PromiseLike<T>): Promise<T> {
    this.#catalog ??= this.engine.openCatalog({ name: "playground", algorithm: "wang" });
    let catalog: Catalog;
    try {
      catalog = await this.#catalog;
    } catch (error) {
      // As where another tab has it: the next call asks again.
      this.#catalog = null;
      throw error;
    }
    this.#storage = catalog.storage;
    try {
      return await work(catalog);
    } catch (error) {
      await this.#forgetIfDead(catalog);
      throw error;
    }
  }

  /** A catalogue whose worker has died answers nothing any more: the next call opens it anew. */
  async #forgetIfDead(catalog: Catalog): Promise<void> {
    try {
      await catalog.ids();
    } catch {
      await catalog.close();
      this.#catalog = null;
      this.enrolled.clear();
    }
  }
}

/** The size that was kept with a song; 0 for what is not the page's own. */
function fileBytesOf(metadata: unknown): number {
  const bytes = typeof metadata === "object" && metadata !== null && "fileBytes" in metadata ? metadata.fileBytes : 0;
  return typeof bytes === "number" ? bytes : 0;
}
