import type { Match } from "otolith";
import { Painter } from "../draw/painter.js";
import type { SongCatalog } from "../state/song-catalog.js";
import { type Answer, CLIP_SECONDS, type Studio } from "../state/studio.js";
import { clock, percent } from "../state/words.js";
import { JobProgress } from "./job-progress.js";
import { make } from "./make.js";
import { columnHead } from "./tempo-panel.js";

/** Enrols the open song in the catalogue and looks clips up in it. */
export class MatchPanel extends HTMLElement {
  #painter: Painter | null = null;

  /** @param announce element with `aria-live` for progress */
  connect(studio: Studio, announce: HTMLElement): void {
    const status = make("p", { className: "muted small", attributes: { role: "status" } });
    const enrol = make("button", { type: "button" }, "Enrol this song");
    const here = make("button", { type: "button" }, `Match ${CLIP_SECONDS} s from here`);
    const chooser = make("input", { type: "file", accept: "audio/*", hidden: true, attributes: { "aria-label": "Clip to match" } });
    const other = make("button", { type: "button" }, "Match a file");
    const forget = make("button", { type: "button", className: "quiet" }, "Forget all songs");
    const answer = make("div", { className: "stack" });
    forget.addEventListener("click", () => void studio.forgetSongs());
    enrol.addEventListener("click", () => void studio.enrol());
    here.addEventListener("click", () => void studio.matchFromHere());
    other.addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", () => {
      const file = chooser.files?.[0];
      chooser.value = "";
      if (file) void studio.matchFile(file);
    });
    this.append(make("h2", {}, "Recognise"), status, make("div", { className: "row" }, enrol, here, other, chooser, forget), answer);
    for (const [kind, name] of [
      ["enrol", "Enrolment"],
      ["match", "Matching"],
    ] as const) {
      const progress = new JobProgress();
      progress.connect(studio, kind, name, announce);
      this.append(progress);
    }
    const show = () => {
      const isEmpty = studio.catalog.enrolled.size === 0;
      status.textContent = inWords(studio.catalog);
      const isEnrolled = studio.song !== null && studio.catalog.has(studio.song);
      enrol.textContent = isEnrolled ? "Enrolled" : "Enrol this song";
      enrol.disabled = isEnrolled;
      here.disabled = isEmpty;
      other.disabled = isEmpty;
      forget.hidden = isEmpty;
      this.#showAnswer(answer, studio.answer);
    };
    studio.addEventListener("song", show);
    studio.addEventListener("catalog", show);
    show();
  }

  #showAnswer(place: HTMLElement, answer: Answer | null): void {
    this.#painter?.dispose();
    this.#painter = null;
    place.replaceChildren();
    if (!answer) return;
    const [best] = answer.matches;
    if (!best) {
      place.append(make("p", { attributes: { role: "status" } }, `No match for ${answer.query}: no enrolled song contains it.`));
      return;
    }
    place.append(
      make("p", { attributes: { role: "status" } }, `${answer.query} is from `, make("strong", {}, best.id), `, at ${clock(best.offset)}.`),
      matchTable(answer.matches),
    );
    if (best.histogram) place.append(this.#histogram(best.histogram));
  }

  #histogram(histogram: NonNullable<Match["histogram"]>): HTMLElement {
    const { start, step } = histogram;
    const counts = Uint32Array.from(histogram.counts);
    const most = counts.reduce((a, b) => Math.max(a, b), 0);
    const canvas = make("canvas", {
      className: "histogram",
      attributes: { role: "img", "aria-label": `Votes by offset, at most ${most}` },
    });
    this.#painter = new Painter(canvas, "--accent");
    this.#painter.setHistogram({ start, step, counts });
    return make(
      "figure",
      {},
      canvas,
      make(
        "figcaption",
        { className: "small muted figures row spread" },
        make("span", {}, clock(start)),
        make("span", {}, "votes by offset"),
        make("span", {}, clock(start + step * counts.length)),
      ),
    );
  }
}
customElements.define("match-panel", MatchPanel);

function inWords({ enrolled, storage }: SongCatalog): string {
  const lasts = storage === "memory" ? "They last until this tab closes." : "They stay in this browser.";
  if (enrolled.size === 0) return "Enrol songs by their fingerprints, then find which song a clip is from, and where.";
  const hashes = [...enrolled.values()].reduce((sum, song) => sum + song.hashes, 0);
  const songs = enrolled.size === 1 ? "1 song" : `${enrolled.size} songs`;
  return `${songs} enrolled: ${hashes.toLocaleString("en")} hashes. ${lasts}`;
}

function matchTable(matches: readonly Match[]): HTMLElement {
  const body = make("tbody");
  for (const match of matches) {
    body.append(
      make(
        "tr",
        {},
        make("td", {}, match.id),
        make("td", { className: "figures" }, percent(match.confidence)),
        make("td", { className: "figures" }, String(match.votes)),
        make("td", { className: "figures" }, `${match.offset.toFixed(2)} s`),
      ),
    );
  }
  const head = make("tr", {}, columnHead("Song"), columnHead("Confidence"), columnHead("Votes"), columnHead("Starts at"));
  const table = make("table", {}, make("caption", { className: "unseen" }, "Matches"), make("thead", {}, head), body);
  return make("div", { className: "scroll", tabIndex: 0, attributes: { role: "region", "aria-label": "Matches" } }, table);
}
