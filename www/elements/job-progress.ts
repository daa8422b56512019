import type { JobPhase, JobProgress as Progress } from "otolith";
import type { JobKind } from "../state/job-desk.js";
import type { Studio } from "../state/studio.js";
import { icon, make } from "./make.js";

const PHASES: Readonly<Record<JobPhase, string>> = {
  download: "Fetching",
  decode: "Reading the file",
  analyze: "Listening",
  verify: "Checking the model",
  load: "Starting the network",
  infer: "Separating",
};

/** Progress of one kind of job with its cancel button; hidden while none runs. */
export class JobProgress extends HTMLElement {
  #announced = -1;

  /**
   * @param kind the job that is shown
   * @param name what the job does, as its name for screen readers, e.g. "Separation"
   * @param announce element with `aria-live` that is told every quarter and the end
   */
  connect(studio: Studio, kind: JobKind, name: string, announce: HTMLElement): void {
    const bar = make("progress", { max: 100, attributes: { "aria-label": name } });
    const words = make("span", { className: "small muted figures" });
    const cancel = make(
      "button",
      { type: "button", attributes: { "aria-label": `Cancel ${name.toLowerCase()}` } },
      icon("close"),
      "Cancel",
    );
    cancel.addEventListener("click", () => studio.jobs.cancel(kind));
    this.append(bar, make("div", { className: "row spread" }, words, cancel));
    this.hidden = true;
    studio.jobs.addEventListener("job", (event) => {
      if ((event as CustomEvent<JobKind>).detail !== kind) return;
      const running = studio.jobs.isRunning(kind);
      this.hidden = !running;
      if (!running) {
        this.#announced = -1;
        return;
      }
      const progress = studio.jobs.progress(kind);
      const done = progress ? donePercent(progress) : null;
      if (done === null) bar.removeAttribute("value");
      else bar.value = done;
      words.textContent = progress ? inWords(progress, done) : "Starting";
      this.#announceQuarter(announce, name, done ?? 0);
    });
  }

  #announceQuarter(announce: HTMLElement, name: string, done: number): void {
    const quarter = Math.floor(done / 25);
    if (quarter <= this.#announced) return;
    this.#announced = quarter;
    announce.textContent = quarter === 0 ? `${name} started` : `${name}: ${quarter * 25} percent`;
  }
}
customElements.define("job-progress", JobProgress);

/** Percent done, 0..99 while a job runs; `null` where the whole is not known. */
export function donePercent(progress: Progress): number | null {
  if (!progress.total) return null;
  return Math.max(0, Math.min(99, Math.floor((100 * progress.done) / progress.total)));
}

function inWords(progress: Progress, done: number | null): string {
  const parts = [PHASES[progress.phase]];
  if (done !== null) parts.push(`${done} %`);
  parts.push(`${Math.round(progress.elapsedMs / 1000)} s`);
  if (progress.etaMs !== null) parts.push(`about ${Math.max(1, Math.round(progress.etaMs / 1000))} s left`);
  return parts.join(" · ");
}
