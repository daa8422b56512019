import type { Segment } from "otolith";
import type { Studio } from "../state/studio.js";
import { stemTitle } from "../state/words.js";
import { saveWav } from "./export-menu.js";
import { icon, make } from "./make.js";
import { SoundLane } from "./sound-lane.js";

/** Stems that share a colour: what is left of a song without its vocals is its instruments. */
const COLOUR_OF: Readonly<Record<string, string>> = { instrumental: "instruments" };

/** One stem: name, solo, mute, volume, download, and its waveform, which fills as segments come. */
export class StemTrack extends HTMLElement {
  readonly lane = new SoundLane();
  #name = "";

  /** Name of the stem. */
  get stem(): string {
    return this.#name;
  }

  /** @param name the stem's name as the engine gives it */
  connect(studio: Studio, name: string): void {
    this.#name = name;
    const { transport } = studio;
    const title = stemTitle(name);
    const colour = COLOUR_OF[name] ?? name;
    this.dataset.stem = colour;
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", title);

    const solo = make("button", { type: "button", className: "switch", attributes: { "aria-label": `Solo ${title}` } }, "S");
    const mute = make("button", { type: "button", className: "switch", attributes: { "aria-label": `Mute ${title}` } }, "M");
    const volume = make("input", { type: "range", min: "0", max: "100", value: "100", attributes: { "aria-label": `${title} volume` } });
    const save = make(
      "button",
      { type: "button", className: "switch", disabled: true, attributes: { "aria-label": `Download ${title} as WAV` } },
      icon("download"),
    );
    solo.addEventListener("click", () => {
      studio.adoptStems();
      transport.toggleSolo(name);
    });
    mute.addEventListener("click", () => {
      studio.adoptStems();
      transport.toggleMute(name);
    });
    volume.addEventListener("input", () => {
      studio.adoptStems();
      transport.setVolume(name, volume.valueAsNumber / 100);
    });
    save.addEventListener("click", () => void saveWav(studio, name, "wav16"));

    this.lane.className = "lane";
    this.append(
      make(
        "div",
        { className: "track-head" },
        make("h3", {}, make("span", { className: "swatch", attributes: { "aria-hidden": "true" } }), title),
        make("div", { className: "switches" }, solo, mute, volume, save),
      ),
      this.lane,
    );
    this.lane.connect(transport, title, `--stem-${colour}`, () => studio.adoptStems());

    const show = () => {
      const switches = transport.switches(name);
      solo.setAttribute("aria-pressed", String(switches.solo));
      mute.setAttribute("aria-pressed", String(switches.mute));
      volume.value = String(Math.round(switches.volume * 100));
      volume.setAttribute("aria-valuetext", `${volume.value} percent`);
      this.classList.toggle("silent", transport.trackNames.includes(name) && !transport.isHeard(name));
      save.disabled = !studio.song?.stems.has(name);
    };
    transport.addEventListener("change", show);
    studio.addEventListener("separation", show);
    show();
  }

  /** Paints a segment's part of this stem. */
  takeSegment(segment: Segment): void {
    const sound = segment.stems[this.#name];
    if (sound) void this.lane.painter.addSamples(Math.round(segment.start * sound.sampleRate), sound.channels);
  }
}
customElements.define("stem-track", StemTrack);
