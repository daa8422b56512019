import { Painter } from "../draw/painter.js";
import type { Transport } from "../state/transport.js";
import { spokenTime } from "../state/words.js";
import { make } from "./make.js";

/** A waveform over the whole song with the playing position; pointer and keys move the position. */
export class SoundLane extends HTMLElement {
  #painter: Painter | null = null;
  #transport: Transport | null = null;
  readonly #playhead = make("div", { className: "playhead" });

  /** What paints the lane. */
  get painter(): Painter {
    if (!this.#painter) throw new Error("a lane paints only after connect");
    return this.#painter;
  }

  /**
   * @param name what sounds here, e.g. "Vocals"
   * @param colourToken the colour of the waveform
   * @param beforeSeek runs before the position is moved by pointer
   */
  connect(transport: Transport, name: string, colourToken: string, beforeSeek: () => void = () => {}): void {
    const canvas = make("canvas", { attributes: { "aria-hidden": "true" } });
    this.append(canvas, this.#playhead);
    this.#transport = transport;
    this.#painter = new Painter(canvas, colourToken);
    this.setAttribute("role", "slider");
    this.tabIndex = 0;
    this.setAttribute("aria-label", `${name}, position`);
    this.setAttribute("aria-valuemin", "0");
    const seek = (event: PointerEvent) => {
      const box = this.getBoundingClientRect();
      transport.seek(((event.clientX - box.left) / box.width) * transport.duration);
    };
    this.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.setPointerCapture(event.pointerId);
      beforeSeek();
      seek(event);
    });
    this.addEventListener("pointermove", (event) => {
      if (this.hasPointerCapture(event.pointerId)) seek(event);
    });
    this.showPosition();
  }

  /** Puts the playhead where the transport is. */
  showPosition(): void {
    const transport = this.#transport;
    if (!transport) return;
    const { position, duration } = transport;
    const part = duration > 0 ? position / duration : 0;
    this.#playhead.style.insetInlineStart = `${part * 100}%`;
    this.#playhead.hidden = duration === 0;
    // A screen reader is told whole seconds, and only when they change.
    const whole = String(Math.floor(position));
    if (this.getAttribute("aria-valuenow") === whole) return;
    this.setAttribute("aria-valuemax", String(Math.ceil(duration)));
    this.setAttribute("aria-valuenow", whole);
    this.setAttribute("aria-valuetext", spokenTime(position));
  }

  /** Lets go of the canvas. */
  dispose(): void {
    this.#painter?.dispose();
  }
}
customElements.define("sound-lane", SoundLane);
