import type { Studio } from "../state/studio.js";
import { icon, make } from "./make.js";

/** Endings that the engine decodes, for the file chooser; what a file really is shows when it is read. */
const ACCEPT = "audio/*,.wav,.flac,.mp3,.m4a,.aac,.ogg,.oga,.aif,.aiff";

/** Where a song comes in: a file button and the example here, and drop and paste anywhere on the page. */
export class DropZone extends HTMLElement {
  /** @param studio what opens the files */
  connect(studio: Studio): void {
    const chooser = make("input", { type: "file", accept: ACCEPT, hidden: true, attributes: { "aria-label": "Sound file" } });
    const choose = make("button", { type: "button", className: "primary" }, icon("file"), "Choose a file");
    const example = make("button", { type: "button" }, "Try the example");
    choose.addEventListener("click", () => chooser.click());
    example.addEventListener("click", () => void studio.openExample());
    chooser.addEventListener("change", () => {
      this.#open(studio, chooser.files);
      chooser.value = "";
    });
    this.append(
      make("div", { className: "row" }, choose, example, chooser),
      make(
        "p",
        { className: "muted small drop-hint" },
        "or drop a file anywhere on this page",
        make("br"),
        "WAV, FLAC, MP3, M4A, Ogg Vorbis, AIFF",
      ),
    );
    this.#listenToPage(studio);
  }

  #listenToPage(studio: Studio): void {
    const marked = document.documentElement;
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      marked.classList.add("dragging");
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) marked.classList.remove("dragging");
    });
    addEventListener("drop", (event) => {
      marked.classList.remove("dragging");
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.#open(studio, event.dataTransfer.files);
    });
    addEventListener("paste", (event) => this.#open(studio, event.clipboardData?.files));
  }

  #open(studio: Studio, files: FileList | null | undefined): void {
    const file = files?.[0];
    if (file) void studio.open(file);
  }
}
customElements.define("drop-zone", DropZone);
