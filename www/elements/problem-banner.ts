import type { JobDesk } from "../state/job-desk.js";
import { icon, make } from "./make.js";

/** The problem that is shown, with its code, its message, and "Run again" where that may help. */
export class ProblemBanner extends HTMLElement {
  /** @param jobs where problems come from */
  connect(jobs: JobDesk): void {
    this.hidden = true;
    this.setAttribute("role", "alert");
    jobs.addEventListener("problem", () => {
      const { problem } = jobs;
      this.replaceChildren();
      this.hidden = problem === null;
      if (!problem) return;
      const text = make("p", {}, problem.message, " ", make("code", { className: "small muted" }, problem.code));
      const buttons = make("div", { className: "row" });
      if (problem.retry) {
        const again = make("button", { type: "button" }, "Run again");
        again.addEventListener("click", problem.retry);
        buttons.append(again);
      }
      const dismiss = make("button", { type: "button", attributes: { "aria-label": "Dismiss" } }, icon("close"));
      dismiss.addEventListener("click", () => jobs.tell(null));
      buttons.append(dismiss);
      this.append(text, buttons);
    });
  }
}
customElements.define("problem-banner", ProblemBanner);
