import type { Engine } from "otolith";
import { make } from "./make.js";
import { facts } from "./tempo-panel.js";

/** What the engine found in this browser, and a report of it without any file name. */
export class DiagnosticsPanel extends HTMLElement {
  /** @param engine whose environment is shown */
  connect(engine: Engine): void {
    const pairs = Object.entries(engine.environment).map(([name, value]) => [inWords(name), shown(value)] as const);
    const copy = make("button", { type: "button" }, "Copy report");
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pairs.map(([name, value]) => `${name}: ${value}`).join("\n"));
      copy.textContent = "Copied";
    });
    // Pages of plain http have no clipboard; the report can still be read.
    copy.hidden = !navigator.clipboard;
    this.append(make("details", {}, make("summary", {}, "Diagnostics"), facts(pairs), copy));
  }
}
customElements.define("diagnostics-panel", DiagnosticsPanel);

function inWords(name: string): string {
  const spaced = name.replace(/([A-Z])/g, " $1").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function shown(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value === null || value === undefined ? "unknown" : String(value);
}
