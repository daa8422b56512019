import "./style/tokens.css";
import "./style/base.css";
import "./style/studio.css";
import { createEngine } from "otolith";
import { DiagnosticsPanel } from "./elements/diagnostics-panel.js";
import { DropZone } from "./elements/drop-zone.js";
import { ExportMenu } from "./elements/export-menu.js";
import { donePercent, JobProgress } from "./elements/job-progress.js";
import { KeysDialog } from "./elements/keys-dialog.js";
import { MatchPanel } from "./elements/match-panel.js";
import { ProblemBanner } from "./elements/problem-banner.js";
import { SongView } from "./elements/song-view.js";
import { TempoPanel } from "./elements/tempo-panel.js";
import { ThemeSwitch } from "./elements/theme-switch.js";
import { pageScripts } from "./page-scripts.js";
import { toProblem } from "./state/job-desk.js";
import { listenToKeys } from "./state/keys.js";
import { Studio } from "./state/studio.js";

const TITLE = document.title;

/** The one element of a kind that index.html holds. */
function the<T extends Element>(kind: new () => T, selector: string): T {
  const element = document.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`index.html lacks ${selector}`);
  return element;
}

const announce = the(HTMLElement, "#announce");

the(ThemeSwitch, "theme-switch").connect();

try {
  const engine = await createEngine({ urls: { worker: pageScripts.engineWorker } });
  const studio = new Studio(engine);
  // Before the elements listen: a title that is not shown yet could not take the focus.
  studio.addEventListener("song", () => {
    if (document.body.dataset.view === "song") return;
    document.body.dataset.view = "song";
    the(HTMLElement, ".wordmark").after(the(DropZone, "drop-zone"));
  });
  the(ProblemBanner, "problem-banner").connect(studio.jobs);
  the(DropZone, "drop-zone").connect(studio);
  the(JobProgress, "#opening").connect(studio, "open", "Opening", announce);
  const songView = the(SongView, "song-view");
  songView.connect(studio, announce);
  the(TempoPanel, "tempo-panel").connect(studio, announce);
  the(MatchPanel, "match-panel").connect(studio, announce);
  the(ExportMenu, "export-menu").connect(studio);
  the(DiagnosticsPanel, "diagnostics-panel").connect(engine);
  const keys = the(KeysDialog, "keys-dialog");
  keys.connect();
  listenToKeys(studio, {
    trackNames: () => songView.trackNames,
    choose: (name) => songView.choose(name),
    showList: () => keys.show(),
    lettersOn: () => keys.lettersOn,
  });
  studio.jobs.addEventListener("job", () => {
    const progress = studio.jobs.progress("separate");
    const done = progress ? donePercent(progress) : null;
    const name = studio.song ? `${studio.song.title} · otolith` : TITLE;
    document.title = done === null ? name : `${done} % · ${name}`;
  });
} catch (error) {
  const { message } = toProblem("start", error);
  const sentence = document.createElement("p");
  sentence.setAttribute("role", "alert");
  sentence.textContent = `otolith cannot run here: ${message}`;
  the(HTMLElement, "main").replaceChildren(sentence);
}
