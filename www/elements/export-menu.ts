import type { WavFormat } from "otolith";
import { beatsCsv } from "../state/beats-csv.js";
import type { Sound } from "../state/song.js";
import type { Studio } from "../state/studio.js";
import { icon, make } from "./make.js";

const FORMATS: readonly (readonly [WavFormat, string])[] = [
  ["wav16", "16 bit"],
  ["wav24", "24 bit"],
  ["wav32f", "32 bit float"],
];

/** What can be taken away: stems as WAV in three sample formats, beats as CSV. */
export class ExportMenu extends HTMLElement {
  /** @param studio whose results are exported */
  connect(studio: Studio): void {
    const format = make("select", { attributes: { "aria-label": "Sample format" } });
    for (const [value, text] of FORMATS) format.append(make("option", { value }, text));
    const stems = make("button", { type: "button" }, icon("download"), "All tracks as WAV");
    const beats = make("button", { type: "button" }, icon("download"), "Beats as CSV");
    stems.addEventListener("click", () => void saveAll(studio, format.value as WavFormat));
    beats.addEventListener("click", () => {
      const { song } = studio;
      if (song?.beats) offer(new Blob([beatsCsv(song.beats)], { type: "text/csv" }), `${song.title} beats.csv`);
    });
    this.append(make("h2", {}, "Download"), make("div", { className: "row" }, stems, format, beats));
    const show = () => {
      const hasStems = (studio.song?.stems.size ?? 0) > 0;
      stems.disabled = !hasStems;
      format.disabled = !hasStems;
      beats.disabled = !studio.song?.beats?.beats.length;
    };
    for (const event of ["song", "beats", "separation"]) studio.addEventListener(event, show);
    show();
  }
}
customElements.define("export-menu", ExportMenu);

/** Saves one stem of the open song as a WAV file. */
export async function saveWav(studio: Studio, stem: string, format: WavFormat): Promise<void> {
  const { song } = studio;
  const sound = song?.stems.get(stem);
  if (song && sound) await saveSound(studio, sound, `${song.title} ${stem}.wav`, format);
}

async function saveAll(studio: Studio, format: WavFormat): Promise<void> {
  for (const stem of studio.song?.stems.keys() ?? []) await saveWav(studio, stem, format);
}

async function saveSound(studio: Studio, sound: Sound, name: string, format: WavFormat): Promise<void> {
  const bytes = await studio.engine.encodeWav(sound, { format });
  offer(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "audio/wav" }), name);
}

function offer(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  // The download has its own hold on the blob once the click is handled.
  setTimeout(() => URL.revokeObjectURL(url));
}
