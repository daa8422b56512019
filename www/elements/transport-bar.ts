import type { Studio } from "../state/studio.js";
import { clock } from "../state/words.js";
import { icon, make } from "./make.js";

/** Play button, position and length. */
export class TransportBar extends HTMLElement {
  readonly #time = make("span", { className: "time figures" });
  #studio: Studio | null = null;

  /** @param studio whose transport is shown */
  connect(studio: Studio): void {
    this.#studio = studio;
    const { transport } = studio;
    const button = make("button", { type: "button", className: "play" });
    const note = make("span", { className: "small muted", attributes: { role: "status" } });
    button.addEventListener("click", () => transport.toggle());
    this.append(button, this.#time, note);
    const show = () => {
      const sounding = transport.state !== "paused";
      const label = sounding ? "Pause" : "Play";
      if (button.getAttribute("aria-label") !== label) {
        button.setAttribute("aria-label", label);
        button.replaceChildren(icon(sounding ? "pause" : "play"));
      }
      note.textContent = transport.state === "waiting" ? "Waiting for the next piece" : "";
      this.showPosition();
    };
    transport.addEventListener("change", show);
    show();
  }

  /** Shows where the transport is. */
  showPosition(): void {
    const transport = this.#studio?.transport;
    if (!transport) return;
    const text = `${clock(transport.position)} / ${clock(transport.duration)}`;
    if (this.#time.textContent !== text) this.#time.textContent = text;
  }
}
customElements.define("transport-bar", TransportBar);
