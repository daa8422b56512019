import { pageScripts } from "../page-scripts.js";
import { breathe } from "../state/breathe.js";
import type { Grid } from "./beat-grid.js";
import type { Constellation, Pairs } from "./constellation.js";
import { type Colours, Desk, type DeskMessage } from "./desk.js";
import type { OffsetHistogram } from "./histogram.js";

/** Samples sent to the desk at once, per channel: a copy of 0.5 MB, well under a millisecond of the page's time. */
const FRAMES_PER_MESSAGE = 131_072;

let send: ((message: DeskMessage, transfer: Transferable[]) => void) | undefined;
let pictures = 0;

/** The one drawing worker of the page, or the same desk on the page itself where canvases cannot be handed over. */
function deskSender(): (message: DeskMessage, transfer: Transferable[]) => void {
  if (send) return send;
  if ("transferControlToOffscreen" in HTMLCanvasElement.prototype) {
    const worker = pageScripts.startDeskWorker();
    send = (message, transfer) => worker.postMessage(message, transfer);
  } else {
    const desk = new Desk((repaint) => setTimeout(repaint));
    send = (message) => desk.take(message);
  }
  return send;
}

const probe = document.createElement("span");

/** Resolves a colour token such as `--accent` for the theme that is shown now. */
function resolveColour(token: string): string {
  if (!probe.isConnected) {
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${token})`;
  return getComputedStyle(probe).color;
}

/** One canvas whose painting happens in the drawing worker. */
export class Painter {
  readonly #picture = pictures++;
  readonly #send = deskSender();
  readonly #observer: ResizeObserver;
  readonly #scheme = matchMedia("(prefers-color-scheme: dark)");
  readonly #recolour = () => this.#sendColours();

  /**
   * @param canvas a canvas that nothing has drawn on yet
   * @param colourToken the token of its main colour, e.g. `--stem-vocals`
   */
  constructor(
    canvas: HTMLCanvasElement,
    private colourToken: string,
  ) {
    if ("transferControlToOffscreen" in canvas) {
      const surface = canvas.transferControlToOffscreen();
      this.#post({ kind: "attach", picture: this.#picture, canvas: surface }, [surface]);
    } else {
      this.#post({ kind: "attach", picture: this.#picture, canvas });
    }
    this.#sendColours();
    this.#observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry?.contentRect ?? { width: 0, height: 0 };
      this.#post({
        kind: "size",
        picture: this.#picture,
        width: Math.round(width),
        height: Math.round(height),
        pixelRatio: devicePixelRatio,
      });
    });
    this.#observer.observe(canvas);
    this.#scheme.addEventListener("change", this.#recolour);
    document.addEventListener("themechange", this.#recolour);
  }

  /**
   * Begins an empty waveform of `frames` frames.
   * @param scaledAs painter of the sound whose largest sample fills the height; by default this one's own
   */
  beginSound(frames: number, sampleRate: number, scaledAs: Painter = this): void {
    this.#post({ kind: "sound", picture: this.#picture, frames, sampleRate, scaledAs: scaledAs.#picture });
  }

  /** Begins an empty spectrogram of `frames` frames. */
  beginSpectrogram(frames: number, sampleRate: number): void {
    this.#post({ kind: "spectrogram", picture: this.#picture, frames, sampleRate });
  }

  /** Lays the peaks of a fingerprint over the spectrogram; `null` takes them away. */
  setConstellation(constellation: Constellation | null): void {
    this.#post({ kind: "constellation", picture: this.#picture, constellation });
  }

  /** Shows a peak with those it is paired with; `null` takes them away. */
  setPairs(pairs: Pairs | null): void {
    this.#post({ kind: "pairs", picture: this.#picture, pairs });
  }

  /**
   * Adds samples to the waveform or spectrogram, in pieces, letting the page breathe between them.
   * @param start frame at which the samples begin
   */
  async addSamples(start: number, channels: readonly Float32Array[]): Promise<void> {
    const frames = channels[0]?.length ?? 0;
    for (let from = 0; from < frames; from += FRAMES_PER_MESSAGE) {
      const pieces = channels.map((channel) => channel.slice(from, from + FRAMES_PER_MESSAGE));
      this.#post(
        { kind: "samples", picture: this.#picture, start: start + from, channels: pieces },
        pieces.map((piece) => piece.buffer),
      );
      await breathe();
    }
  }

  /** Lays beats over the waveform; `null` takes them away. */
  setGrid(grid: Grid | null): void {
    this.#post({ kind: "grid", picture: this.#picture, grid });
  }

  /** Shows votes per offset; `null` takes them away. */
  setHistogram(histogram: OffsetHistogram | null): void {
    this.#post({ kind: "histogram", picture: this.#picture, histogram });
  }

  /** Lets go of the canvas. */
  dispose(): void {
    this.#observer.disconnect();
    this.#scheme.removeEventListener("change", this.#recolour);
    document.removeEventListener("themechange", this.#recolour);
    this.#post({ kind: "detach", picture: this.#picture });
  }

  #sendColours(): void {
    const colours: Colours = { picture: resolveColour(this.colourToken), grid: resolveColour("--text"), mark: resolveColour("--accent") };
    this.#post({ kind: "colours", picture: this.#picture, colours });
  }

  #post(message: DeskMessage, transfer: Transferable[] = []): void {
    this.#send(message, transfer);
  }
}
