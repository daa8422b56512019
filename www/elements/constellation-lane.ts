import { timeToX } from "../draw/beat-grid.js";
import { frequencyToY } from "../draw/constellation.js";
import { Painter } from "../draw/painter.js";
import type { SongPrint } from "../state/print-peaks.js";
import type { Sound } from "../state/song.js";
import { byteSize, peakInWords } from "../state/words.js";
import { make } from "./make.js";

/** A pointer is on a peak that is no further away than this, in pixels. */
const REACH = 12;

/** The open song's spectrogram with the peaks that its fingerprint keeps of it, and the pairs of the one under pointer or focus. */
export class ConstellationLane extends HTMLElement {
  readonly #figures = make("p", { className: "small muted figures" });
  readonly #said = make("p", { className: "small figures peak", attributes: { role: "status" } });
  readonly #canvas = make("canvas", { attributes: { role: "img", "aria-label": "Spectrogram up to 4 kHz" } });
  // A picture of its own: the spectrogram need not be painted again for every move of the pointer.
  readonly #over = make("canvas", { className: "over", attributes: { "aria-hidden": "true" } });
  readonly #lane = make("div", { className: "lane" }, this.#canvas, this.#over);
  readonly #painters: Painter[] = [];
  #print: SongPrint | null = null;
  #duration = 0;
  /** The peak that the keys are at. */
  #focused = 0;
  #shown: number | null = null;

  /** Shows the spectrogram of a sound of `frames` frames. */
  connect(sound: Sound, frames: number): void {
    this.#duration = frames / sound.sampleRate;
    this.append(make("div", { className: "track-head" }, make("h3", {}, "Fingerprint"), this.#figures, this.#said), this.#lane);
    const painter = new Painter(this.#canvas, "--muted");
    this.#painters.push(painter, new Painter(this.#over, "--accent"));
    painter.beginSpectrogram(frames, sound.sampleRate);
    void painter.addSamples(0, sound.channels);
    for (const type of ["pointermove", "pointerdown"] as const)
      this.#lane.addEventListener(type, (event) => {
        const peak = this.#peakUnder(event);
        if (type === "pointerdown" && peak !== null) this.#focused = peak;
        void this.#show(peak);
      });
    this.#lane.addEventListener("pointerleave", () => void this.#show(document.activeElement === this.#lane ? this.#focused : null));
    this.#lane.addEventListener("focus", () => void this.#show(this.#focused));
    this.#lane.addEventListener("blur", () => void this.#show(null));
    this.#lane.addEventListener("keydown", (event) => {
      const next = this.#peakByKey(event.key);
      if (next === null || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#focused = next;
      void this.#show(next);
    });
    this.showPrint(null);
  }

  /** Lays the peaks of a fingerprint over it. */
  showPrint(print: SongPrint | null): void {
    this.#print = print;
    this.#focused = 0;
    void this.#show(null);
    this.#painters[0]?.setConstellation(print?.peaks ?? null);
    const count = print?.peaks.times.length ?? 0;
    this.#figures.textContent = print ? `${print.hashes.toLocaleString("en")} hashes, ${byteSize(print.bytes)}` : "";
    if (!print || count === 0) return;
    this.#canvas.setAttribute("aria-label", `Spectrogram up to 4 kHz with the ${count.toLocaleString("en")} peaks of the fingerprint`);
    // It takes the arrow keys, which a screen reader would otherwise keep to itself.
    this.#lane.setAttribute("role", "application");
    this.#lane.setAttribute("aria-label", "Peaks of the fingerprint, arrow keys go from one to the next");
    this.#lane.tabIndex = 0;
  }

  /** Lets go of the canvases. */
  dispose(): void {
    for (const painter of this.#painters) painter.dispose();
  }

  /** Tells of a peak, in words and by lines to those that it is paired with. */
  async #show(peak: number | null): Promise<void> {
    const print = this.#print;
    if (peak === this.#shown) return;
    this.#shown = peak;
    // The pairs are asked for once; should that fail, the peak is told without.
    const pairs = peak === null ? null : ((await print?.pairs().catch(() => null)) ?? null);
    if (this.#shown !== peak || this.#print !== print) return;
    if (peak === null || !print) {
      this.#painters[1]?.setPairs(null);
      this.#said.textContent = "";
      return;
    }
    const { times, frequencies } = print.peaks;
    const [time, frequency] = [times[peak] ?? 0, frequencies[peak] ?? 0];
    const targets = pairs?.targetsOf(peak) ?? [];
    this.#painters[1]?.setPairs({
      time,
      frequency,
      targets: { times: targets.map((target) => times[target] ?? 0), frequencies: targets.map((target) => frequencies[target] ?? 0) },
      duration: this.#duration,
    });
    this.#said.textContent = peakInWords(time, frequency, pairs && targets.length);
  }

  /** The peak nearest to the pointer. */
  #peakUnder({ clientX, clientY }: PointerEvent): number | null {
    const { left, top } = this.#lane.getBoundingClientRect();
    return this.#nearest(clientX - left, clientY - top, REACH, () => true);
  }

  /** The peak that a key leads to; null for other keys. */
  #peakByKey(key: string): number | null {
    const count = this.#print?.peaks.times.length ?? 0;
    if (count === 0) return null;
    const [x, y] = this.#placing()(this.#focused);
    const within = (peak: number) => Math.max(0, Math.min(count - 1, peak));
    switch (key) {
      case "ArrowLeft":
        return within(this.#focused - 1);
      case "ArrowRight":
        return within(this.#focused + 1);
      case "ArrowUp":
        return this.#nearest(x, y, Number.POSITIVE_INFINITY, (_, otherY) => otherY < y) ?? this.#focused;
      case "ArrowDown":
        return this.#nearest(x, y, Number.POSITIVE_INFINITY, (_, otherY) => otherY > y) ?? this.#focused;
      case "Home":
        return 0;
      case "End":
        return count - 1;
      default:
        return null;
    }
  }

  /** The nearest peak to a place in the lane among those that `counts` takes. */
  #nearest(x: number, y: number, reach: number, counts: (x: number, y: number) => boolean): number | null {
    let [nearest, distance]: [number | null, number] = [null, reach];
    const place = this.#placing();
    for (let peak = 0; peak < (this.#print?.peaks.times.length ?? 0); peak += 1) {
      const [peakX, peakY] = place(peak);
      const away = Math.hypot(peakX - x, peakY - y);
      if (away <= distance && counts(peakX, peakY)) [nearest, distance] = [peak, away];
    }
    return nearest;
  }

  /** Where peaks are in the lane, as wide and high as it is now. */
  #placing(): (peak: number) => [number, number] {
    const { times, frequencies } = this.#print?.peaks ?? { times: [], frequencies: [] };
    const { clientWidth, clientHeight } = this.#lane;
    return (peak) => [timeToX(times[peak] ?? 0, this.#duration, clientWidth), frequencyToY(frequencies[peak] ?? 0, clientHeight)];
  }
}
customElements.define("constellation-lane", ConstellationLane);
