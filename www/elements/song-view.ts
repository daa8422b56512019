import type { Segment } from "otolith";
import { frameCount } from "../state/song.js";
import type { Studio } from "../state/studio.js";
import { clock } from "../state/words.js";
import { ConstellationLane } from "./constellation-lane.js";
import { JobProgress } from "./job-progress.js";
import { make } from "./make.js";
import { SoundLane } from "./sound-lane.js";
import { StemChoice } from "./stem-choice.js";
import { StemTrack } from "./stem-track.js";
import { TransportBar } from "./transport-bar.js";

/** Distances of the ruler's marks that may be chosen, in seconds. */
const RULER_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const RULER_MARKS = 8;

/** The open song: title, transport, the song's lane with its beats, and its stems as they are made. */
export class SongView extends HTMLElement {
  readonly #stems = make("div", { className: "stems" });
  readonly #songTrack = make("div", { className: "song-track" });
  readonly #transportBar = new TransportBar();
  readonly #printTrack = make("div", { className: "print-track" });
  #lane: SoundLane | null = null;
  #constellation: ConstellationLane | null = null;
  #frame = 0;

  /** Names of the stem tracks shown, in order. */
  get trackNames(): string[] {
    return this.#tracks().map((track) => track.stem);
  }

  /** @param announce element with `aria-live` for progress */
  connect(studio: Studio, announce: HTMLElement): void {
    const title = make("h1", { tabIndex: -1 });
    const about = make("p", { className: "muted figures" });
    const warnings = make("p", { className: "small muted" });
    const separate = make("button", { type: "button", className: "primary" });
    const choice = new StemChoice();
    const cost = make("p", { className: "small muted figures", hidden: true });
    const progress = new JobProgress();
    const note = make("p", { className: "small muted note", hidden: true });
    note.textContent =
      "This first model has heard little, and only computer-made music: on studio recordings expect some of each track in the other.";
    separate.addEventListener("click", () => void studio.separate());
    this.#transportBar.connect(studio);
    choice.connect(studio, cost);
    progress.connect(studio, "separate", "Separation", announce);
    this.append(
      make("div", { className: "song-title" }, title, about),
      warnings,
      make(
        "div",
        { className: "separation" },
        make("div", { className: "row spread" }, this.#transportBar, make("div", { className: "row" }, choice, separate)),
        cost,
      ),
      progress,
      make("section", { className: "tracks", attributes: { "aria-label": "Tracks" } }, this.#songTrack, this.#printTrack, this.#stems),
      note,
    );

    studio.addEventListener("song", () => {
      const { song } = studio;
      if (!song) return;
      const channels = song.sound.channels.length;
      const layout = channels === 1 ? "mono" : channels === 2 ? "stereo" : `${channels} channels`;
      title.textContent = song.title;
      about.textContent = `${clock(song.duration)} · ${(song.sound.sampleRate / 1000).toLocaleString("en")} kHz · ${layout}`;
      warnings.textContent = song.warnings.join(" ");
      warnings.hidden = song.warnings.length === 0;
      this.#showSong(studio);
      this.#clearStems();
      title.focus();
    });
    studio.addEventListener("print", () => this.#constellation?.showPrint(studio.song?.print ?? null));
    studio.addEventListener("beats", () => this.#lane?.painter.setGrid(studio.song?.beats ?? null));
    studio.addEventListener("segment", (event) => this.#takeSegment(studio, (event as CustomEvent<Segment>).detail));
    const show = () => {
      const state = studio.song?.separation ?? "none";
      separate.hidden = state === "running";
      separate.classList.toggle("primary", state !== "done");
      separate.textContent = state === "done" ? "Separate again" : studio.stems === 2 ? "Separate vocals" : "Separate 5 stems";
      if (state === "running") this.#clearStems();
      if (state === "done") announce.textContent = "Separation done";
      note.hidden = state !== "done";
    };
    studio.addEventListener("song", show);
    studio.addEventListener("separation", show);
    studio.addEventListener("choice", show);
    studio.transport.addEventListener("change", () => this.#follow(studio));
  }

  /** Marks one stem track as chosen and gives its lane the focus. */
  choose(name: string): void {
    for (const track of this.#tracks()) {
      track.classList.toggle("chosen", track.stem === name);
      if (track.stem === name) track.lane.focus();
    }
  }

  #tracks(): StemTrack[] {
    return [...this.#stems.children].filter((child) => child instanceof StemTrack);
  }

  #clearStems(): void {
    for (const track of this.#tracks()) track.lane.dispose();
    this.#stems.replaceChildren();
  }

  #showSong(studio: Studio): void {
    const { song } = studio;
    if (!song) return;
    this.#lane?.dispose();
    const lane = new SoundLane();
    lane.className = "lane";
    this.#lane = lane;
    this.#songTrack.replaceChildren(make("div", { className: "track-head" }, make("h3", {}, "Song")), lane, ruler(song.duration));
    lane.connect(studio.transport, "Song", "--muted");
    lane.painter.beginSound(frameCount(song.sound), song.sound.sampleRate);
    void lane.painter.addSamples(0, song.sound.channels);
    this.#constellation?.dispose();
    this.#constellation = new ConstellationLane();
    this.#printTrack.replaceChildren(this.#constellation);
    this.#constellation.connect(song.sound, frameCount(song.sound));
  }

  #takeSegment(studio: Studio, segment: Segment): void {
    const { song } = studio;
    if (!song) return;
    if (this.#stems.childElementCount === 0) {
      for (const [name, sound] of Object.entries(segment.stems)) {
        const track = new StemTrack();
        this.#stems.append(track);
        track.connect(studio, name);
        track.lane.painter.beginSound(Math.round(song.duration * sound.sampleRate), sound.sampleRate, this.#lane?.painter);
      }
    }
    for (const track of this.#tracks()) track.takeSegment(segment);
  }

  /** Moves the playheads: on every frame while there is sound, else once. */
  #follow(studio: Studio): void {
    cancelAnimationFrame(this.#frame);
    this.#transportBar.showPosition();
    this.#lane?.showPosition();
    for (const track of this.#tracks()) track.lane.showPosition();
    if (studio.transport.state === "playing") this.#frame = requestAnimationFrame(() => this.#follow(studio));
  }
}
customElements.define("song-view", SongView);

function ruler(duration: number): HTMLElement {
  const step = RULER_STEPS.find((seconds) => duration / seconds <= RULER_MARKS) ?? 7200;
  const marks = make("div", { className: "ruler small muted figures", attributes: { "aria-hidden": "true" } });
  for (let seconds = 0; seconds < duration; seconds += step) {
    const mark = make("span", {}, clock(seconds).replace(/\.0$/, ""));
    mark.style.insetInlineStart = `${(100 * seconds) / duration}%`;
    marks.append(mark);
  }
  return marks;
}
