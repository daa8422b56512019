import type { BeatTrack } from "otolith";
import type { Studio } from "../state/studio.js";
import { percent } from "../state/words.js";
import { JobProgress } from "./job-progress.js";
import { make } from "./make.js";

/** Alternatives beyond these are unlikely enough to be noise. */
const ALTERNATIVES_SHOWN = 3;

const METHODS: Readonly<Record<BeatTrack["method"], string>> = { tcn: "trained network", flux: "spectral flux" };

/** Why it was flux. */
const NOTICES: Readonly<Record<NonNullable<BeatTrack["notice"]>, string>> = {
  "model-missing": "no network is shipped",
  "model-refused": "the network could not be had",
  "model-integrity": "the network's file is damaged",
};

/** Tempo with its confidence and alternatives, how it was found, and the beats as a table. */
export class TempoPanel extends HTMLElement {
  /** @param announce element with `aria-live` for progress */
  connect(studio: Studio, announce: HTMLElement): void {
    const result = make("div", { className: "stack" });
    const progress = new JobProgress();
    progress.connect(studio, "beats", "Beat tracking", announce);
    this.append(make("h2", {}, "Tempo and beats"), result, progress);
    const show = () => {
      const { song, jobs } = studio;
      if (song?.beats) {
        result.replaceChildren(...describe(song.beats), ...(song.beats.beats.length > 0 ? [clickSwitch(studio)] : []));
        return;
      }
      if (jobs.isRunning("beats")) {
        result.replaceChildren();
        return;
      }
      const again = make("button", { type: "button" }, "Find beats");
      again.addEventListener("click", () => void studio.findBeats());
      result.replaceChildren(make("p", { className: "muted" }, "No beats yet."), again);
    };
    studio.addEventListener("song", show);
    studio.addEventListener("beats", show);
    studio.jobs.addEventListener("job", (event) => {
      if ((event as CustomEvent<string>).detail === "beats") show();
    });
  }
}
customElements.define("tempo-panel", TempoPanel);

function describe(track: BeatTrack): Node[] {
  const { tempo, meter, beats } = track;
  if (tempo.bpm === null || beats.length === 0) return [make("p", {}, "No steady beat was found in this sound.")];
  const others = tempo.alternatives
    .slice(0, ALTERNATIVES_SHOWN)
    .map((other) => `${other.bpm.toFixed(1)}\u00a0(${percent(other.confidence)})`);
  const nodes: Node[] = [
    make("p", { className: "tempo" }, make("strong", { className: "figures" }, tempo.bpm.toFixed(1)), " BPM"),
    facts([
      ["Confidence", percent(tempo.confidence)],
      ["Could also be", others.length > 0 ? `${others.join(", ")} BPM` : "nothing else"],
      [
        "Tempo",
        tempo.steady ? "steady" : tempo.range ? `moves, ${tempo.range[0].toFixed(0)} to ${tempo.range[1].toFixed(0)} BPM` : "moves",
      ],
      ["Beats", `${beats.length}${meter ? `, ${meter.beatsPerBar} to the bar` : ", bars not known"}`],
      ["Method", METHODS[track.method]],
      ...(track.notice ? [["Because", NOTICES[track.notice]] as const] : []),
    ]),
  ];
  nodes.push(beatTable(track));
  return nodes;
}

/** Turns clicks on the beats on and off. */
function clickSwitch(studio: Studio): HTMLElement {
  const button = make("button", { type: "button" }, "Click on beats");
  const show = () => button.setAttribute("aria-pressed", String(studio.transport.clicksOn));
  button.addEventListener("click", () => void studio.toggleClicks().then(show));
  show();
  return button;
}

/** Names and values as a description list. */
export function facts(pairs: readonly (readonly [string, string])[]): HTMLElement {
  const list = make("dl", { className: "facts" });
  for (const [name, value] of pairs) list.append(make("dt", {}, name), make("dd", { className: "figures" }, value));
  return list;
}

function beatTable({ beats, downbeats }: BeatTrack): HTMLElement {
  const details = make("details", {}, make("summary", {}, "Show beats as table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const strong = new Set(downbeats);
    const body = make("tbody");
    beats.forEach((time, index) => {
      body.append(
        make(
          "tr",
          {},
          make("td", { className: "figures" }, String(index + 1)),
          make("td", { className: "figures" }, time.toFixed(3)),
          make("td", {}, strong.has(time) ? "downbeat" : ""),
        ),
      );
    });
    const head = make("tr", {}, columnHead("Beat"), columnHead("Seconds"), columnHead("Kind"));
    const table = make("table", {}, make("caption", { className: "unseen" }, "Beats"), make("thead", {}, head), body);
    details.append(make("div", { className: "scroll", tabIndex: 0, attributes: { role: "region", "aria-label": "Beats" } }, table));
  });
  return details;
}

/** The head of a table's column. */
export function columnHead(text: string): HTMLElement {
  return make("th", { attributes: { scope: "col" } }, text);
}
