import { Painter } from "../draw/painter.js";
import type { SongPrint } from "../state/print-peaks.js";
import type { Sound } from "../state/song.js";
import { byteSize } from "../state/words.js";
import { make } from "./make.js";

/** The open song's spectrogram with the peaks that its fingerprint keeps of it. */
export class ConstellationLane extends HTMLElement {
  readonly #figures = make("p", { className: "small muted figures" });
  #painter: Painter | null = null;
  #canvas: HTMLCanvasElement | null = null;

  /** Shows the spectrogram of a sound of `frames` frames. */
  connect(sound: Sound, frames: number): void {
    const canvas = make("canvas", { attributes: { role: "img", "aria-label": "Spectrogram up to 4 kHz" } });
    this.#canvas = canvas;
    this.append(
      make("div", { className: "track-head" }, make("h3", {}, "Fingerprint"), this.#figures),
      make("div", { className: "lane" }, canvas),
    );
    this.#painter = new Painter(canvas, "--muted");
    this.#painter.beginSpectrogram(frames, sound.sampleRate);
    void this.#painter.addSamples(0, sound.channels);
    this.showPrint(null);
  }

  /** Lays the peaks of a fingerprint over it. */
  showPrint(print: SongPrint | null): void {
    this.#painter?.setConstellation(print?.peaks ?? null);
    const count = print?.peaks.times.length ?? 0;
    this.#figures.textContent = print ? `${print.hashes.toLocaleString("en")} hashes, ${byteSize(print.bytes)}` : "";
    if (print)
      this.#canvas?.setAttribute("aria-label", `Spectrogram up to 4 kHz with the ${count.toLocaleString("en")} peaks of the fingerprint`);
  }

  /** Lets go of the canvas. */
  dispose(): void {
    this.#painter?.dispose();
  }
}
customElements.define("constellation-lane", ConstellationLane);
