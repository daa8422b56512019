import type { Engine, Estimate, Match, Segment } from "otolith";
import { JobDesk, toProblem } from "./job-desk.js";
import { PrintPairs, peaksOf } from "./print-peaks.js";
import { excerpt, Song, type Sound } from "./song.js";
import { SongCatalog } from "./song-catalog.js";
import { Transport } from "./transport.js";

/** Length of the clip that "match from here" cuts out of the open song, in seconds. */
export const CLIP_SECONDS = 5;

/** More than a picture can show apart. */
const MOST_PEAKS = 100_000;

/** What was asked of the catalogue, and its answer. */
export interface Answer {
  /** The query in words, e.g. `5 s of Song from 0:12.0`. */
  readonly query: string;
  readonly matches: readonly Match[];
}

/**
 * The open song and what is being done with it. Fires `song` (another song is open), `beats`, `print`, `separation` (its state changed), `segment`
 * (detail: {@link Segment}), `choice` (of stems), `cost` (of a separation) and `catalog`.
 */
export class Studio extends EventTarget {
  readonly jobs = new JobDesk();
  readonly transport = new Transport();
  song: Song | null = null;
  answer: Answer | null = null;
  /** Stems the next separation makes. */
  stems: 2 | 5 = 2;
  /** Numbers of stems that there is no model for. */
  readonly missing = new Set<number>();
  /** What separating the open song will take; `null` until it is known. */
  cost: Estimate | null = null;
  readonly catalog: SongCatalog;
  /** Segments made while the transport still plays the whole song. */
  #kept: Segment[] = [];
  #stemsAdopted = false;

  constructor(readonly engine: Engine) {
    super();
    this.catalog = new SongCatalog(engine);
  }

  /** Reads a file and, if that succeeds, makes it the open song and looks for its beats. The song that was open stays until then. */
  async open(file: File): Promise<void> {
    const retry = () => void this.open(file);
    const sound = await this.jobs.run("open", (handle) => this.engine.decode(file, handle), retry);
    if (!sound) return;
    this.jobs.cancelAll();
    const song = new Song(file, sound, sound.warnings);
    this.song = song;
    this.answer = null;
    this.#kept = [];
    this.#stemsAdopted = false;
    this.transport.clear();
    this.transport.layTracks(["song"], song.duration);
    this.cost = null;
    this.#fire("song");
    void this.#weigh();
    void this.findBeats();
    void this.loadCatalog();
    void this.findPrint();
    await this.transport.replaceByWholes(new Map([["song", sound]]));
  }

  /** Fetches the page's own example song and opens it. */
  async openExample(): Promise<void> {
    const file = await this.jobs.run(
      "open",
      async ({ signal }) => {
        const response = await fetch(new URL("example.flac", document.baseURI), { signal });
        if (!response.ok) throw new Error(`The example could not be fetched: the server answered ${response.status}.`);
        return new File([await response.blob()], "Example.flac", { type: "audio/flac" });
      },
      () => void this.openExample(),
    );
    if (file) await this.open(file);
  }

  /** Finds the beats of the open song. */
  async findBeats(): Promise<void> {
    const song = this.song;
    if (!song) return;
    const retry = () => void this.findBeats();
    const beats = await this.jobs.run("beats", (handle) => this.engine.beats(song.file, handle), retry);
    if (!beats || this.song !== song) return;
    song.beats = beats;
    this.#fire("beats");
  }

  /** Lets clicks on the beats be heard with the song, or no longer. They are made when first asked for. */
  async toggleClicks(): Promise<void> {
    const { song, transport } = this;
    if (!song?.beats) return;
    if (!transport.hasClicks) {
      const { beats, sound } = song;
      const silence = { channels: [new Float32Array(sound.channels[0]?.length ?? 0)], sampleRate: sound.sampleRate };
      const clicks = await this.engine.clickTrack(silence, beats, { mix: false, transfer: true });
      if (this.song !== song) return;
      await transport.setClicks(clicks);
    }
    transport.toggleClicks();
  }

  /** Chooses how many stems the next separation makes. */
  chooseStems(stems: 2 | 5): void {
    this.stems = stems;
    this.cost = null;
    this.#fire("choice");
    void this.#weigh();
  }

  /** Separates the open song into the stems chosen. Made pieces stay playable if it is cancelled. */
  async separate(): Promise<void> {
    const song = this.song;
    if (!song || song.separation === "running") return;
    this.#kept = [];
    this.#stemsAdopted = false;
    song.stems = new Map();
    this.#setSeparation(song, "running");
    const retry = () => void this.separate();
    const result = await this.jobs.run(
      "separate",
      async (handle) => {
        const job = this.engine.separate(song.file, { stems: this.stems, ...handle });
        const [finished] = await Promise.all([job, this.#takeSegments(song, job, handle.signal)]);
        return finished;
      },
      retry,
    );
    if (this.song !== song) return;
    if (!result) {
      this.transport.endTracks();
      this.#setSeparation(song, "none");
      return;
    }
    song.stems = new Map(Object.entries(result.stems));
    this.adoptStems();
    await this.transport.replaceByWholes(song.stems);
    this.#setSeparation(song, "done");
    // Now the engine knows how fast it is here.
    void this.#weigh();
  }

  /** Plays the stems from now on, as far as they are made, in place of the whole song. Without effect where that is so already or none are made. */
  adoptStems(): void {
    const [first] = this.#kept;
    if (!first || !this.song || this.#stemsAdopted) return;
    this.#stemsAdopted = true;
    this.transport.layTracks(Object.keys(first.stems), this.song.duration);
    for (const segment of this.#kept) this.#playSegment(segment);
    this.#kept = [];
    if (this.song.separation !== "running") this.transport.endTracks();
  }

  /** Takes the fingerprint of the open song, to show its peaks. */
  async findPrint(): Promise<void> {
    const song = this.song;
    if (!song) return;
    const print = await this.jobs.run(
      "print",
      async (handle) => {
        const made = await this.engine.fingerprint(song.file, handle);
        const bytes = made.bytes();
        const inside = await this.engine.inspect(bytes, { peaks: MOST_PEAKS });
        const peaks = peaksOf(inside);
        let pairs: Promise<PrintPairs> | undefined;
        const findPairs = async () => {
          try {
            return new PrintPairs(await this.engine.inspect(bytes, { hashes: MOST_PEAKS }), peaks);
          } catch (thrown) {
            // A crashed worker is replaced: the next peak asks again.
            pairs = undefined;
            throw thrown;
          }
        };
        return { hashes: made.hashCount, bytes: bytes.byteLength, peaks, pairs: () => (pairs ??= findPairs()) };
      },
      () => void this.findPrint(),
    );
    if (!print || this.song !== song) return;
    song.print = print;
    this.#fire("print");
  }

  /** Finds out what earlier visits have enrolled. */
  async loadCatalog(): Promise<void> {
    try {
      await this.catalog.load();
    } catch (error) {
      this.jobs.tell(toProblem("enrol", error, () => void this.loadCatalog()));
    }
    this.#fire("catalog");
  }

  /** Takes every song out of the catalogue. */
  async forgetSongs(): Promise<void> {
    await this.jobs.run(
      "enrol",
      () => this.catalog.forget(),
      () => void this.forgetSongs(),
    );
    this.answer = null;
    this.#fire("catalog");
  }

  /** Adds the open song to the catalogue. */
  async enrol(): Promise<void> {
    const song = this.song;
    if (!song) return;
    await this.jobs.run(
      "enrol",
      (handle) => this.catalog.enrol(song, handle),
      () => void this.enrol(),
    );
    this.#fire("catalog");
  }

  /** Looks a file up in the catalogue. */
  matchFile(file: File): Promise<void> {
    return this.#match(file.name, file, () => void this.matchFile(file));
  }

  /** Looks {@link CLIP_SECONDS} of the open song up, from the playing position on (or the last such clip of the song). */
  async matchFromHere(): Promise<void> {
    const song = this.song;
    if (!song) return;
    const start = Math.max(0, Math.min(this.transport.position, song.duration - CLIP_SECONDS));
    const query = `${CLIP_SECONDS} s of ${song.title} from ${start.toFixed(2)} s`;
    await this.#match(query, excerpt(song.sound, start, CLIP_SECONDS), () => void this.matchFromHere());
  }

  /** Finds out what a separation will take, and which numbers of stems can be had. */
  async #weigh(): Promise<void> {
    const { song, stems } = this;
    if (!song) return;
    const { sampleRate, channels } = song.sound;
    const size = { duration: song.duration, sampleRate, channels: channels.length, bytes: song.file.size };
    for (const count of [2, 5] as const) {
      const cost = await this.engine.estimate(size, { stems: count }).catch(() => null);
      if (this.song !== song) return;
      if (cost) this.missing.delete(count);
      else this.missing.add(count);
      if (count === stems && this.stems === stems) this.cost = cost;
    }
    this.#fire("cost");
  }

  async #match(query: string, input: File | Sound, retry: () => void): Promise<void> {
    const matches = await this.jobs.run("match", (handle) => this.catalog.match(input, handle), retry);
    if (!matches) {
      this.#fire("catalog");
      return;
    }
    this.answer = { query, matches };
    this.#fire("catalog");
  }

  async #takeSegments(song: Song, segments: AsyncIterable<Segment>, signal: AbortSignal): Promise<void> {
    for await (const segment of segments) {
      if (signal.aborted || this.song !== song) return;
      this.dispatchEvent(new CustomEvent("segment", { detail: segment }));
      if (this.#stemsAdopted) {
        this.#playSegment(segment);
        continue;
      }
      this.#kept.push(segment);
      // A listener who is further than the stems keeps the whole song until they have caught up.
      const frontier = segment.start + segment.frames / segment.sampleRate;
      if (this.transport.state === "paused" || this.transport.position < frontier) this.adoptStems();
    }
  }

  #playSegment(segment: Segment): void {
    void this.transport.addPieces(segment.start, new Map(Object.entries(segment.stems)));
  }

  #setSeparation(song: Song, state: Song["separation"]): void {
    song.separation = state;
    this.#fire("separation");
  }

  #fire(type: string): void {
    this.dispatchEvent(new Event(type));
  }
}
