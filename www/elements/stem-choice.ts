import type { Studio } from "../state/studio.js";
import { byteSize } from "../state/words.js";
import { make } from "./make.js";

const CHOICES = [
  [2, "2 stems"],
  [5, "5 stems"],
] as const;

/** How many stems the song is to be taken apart into, and what that will cost on this device. */
export class StemChoice extends HTMLElement {
  /** @param cost where the cost is told, or why a choice cannot be had */
  connect(studio: Studio, cost: HTMLElement): void {
    const buttons = CHOICES.map(([stems, words]) => {
      const button = make("button", { type: "button" }, words);
      button.addEventListener("click", () => studio.chooseStems(stems));
      return button;
    });
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "How many stems");
    this.append(...buttons);
    const show = () => {
      for (const [index, [stems]] of CHOICES.entries()) {
        const button = buttons[index];
        button?.setAttribute("aria-pressed", String(studio.stems === stems));
        if (button) button.disabled = studio.song?.separation === "running" || studio.missing.has(stems);
      }
      cost.textContent = words(studio);
      cost.hidden = cost.textContent === "";
    };
    for (const event of ["song", "separation", "choice", "cost"]) studio.addEventListener(event, show);
    show();
  }
}
customElements.define("stem-choice", StemChoice);

function words({ cost, missing, song }: Studio): string {
  if (!cost || song?.separation === "running") return "";
  const parts: string[] = [];
  if (cost.seconds !== null) parts.push(`About ${duration(cost.seconds)}${cost.measured ? "" : " on this device"}`);
  parts.push(`${byteSize(cost.bytes)} of memory`);
  if (cost.download > 0) parts.push(`${byteSize(cost.download)} to fetch`);
  return `${parts.join(", ")}.${missing.has(5) ? " There is no model for 5 stems here yet." : ""}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}
