import { type Grid, paintBeatGrid } from "./beat-grid.js";
import { type Constellation, type Pairs, paintConstellation, paintPairs } from "./constellation.js";
import { type OffsetHistogram, paintHistogram } from "./histogram.js";
import { Peaks } from "./peaks.js";
import { paintSpectrogram, Spectrogram } from "./spectrogram.js";
import { paintWaveform, type Surface } from "./waveform.js";

/** Colours of one picture, as CSS colours already resolved for light or dark. */
export interface Colours {
  readonly picture: string;
  readonly grid: string;
  readonly mark: string;
}

/** What the page tells the desk. `picture` names one canvas. */
export type DeskMessage =
  | { kind: "attach"; picture: number; canvas: OffscreenCanvas | HTMLCanvasElement }
  | { kind: "detach"; picture: number }
  | { kind: "size"; picture: number; width: number; height: number; pixelRatio: number }
  | { kind: "colours"; picture: number; colours: Colours }
  | { kind: "sound"; picture: number; frames: number; sampleRate: number; scaledAs: number }
  | { kind: "spectrogram"; picture: number; frames: number; sampleRate: number }
  | { kind: "samples"; picture: number; start: number; channels: Float32Array[] }
  | { kind: "constellation"; picture: number; constellation: Constellation | null }
  | { kind: "pairs"; picture: number; pairs: Pairs | null }
  | { kind: "grid"; picture: number; grid: Grid | null }
  | { kind: "histogram"; picture: number; histogram: OffsetHistogram | null };

interface Picture {
  readonly canvas: OffscreenCanvas | HTMLCanvasElement;
  /** Asked for once: Firefox refuses a second time. */
  readonly surface: Surface | null;
  width: number;
  height: number;
  pixelRatio: number;
  colours: Colours | null;
  peaks: Peaks | null;
  spectrogram: Spectrogram | null;
  constellation: Constellation | null;
  pairs: Pairs | null;
  /** Picture whose largest sample reaches the edge of this one too, so that the stems of a quiet song can be seen and compared. */
  scaledAs: number;
  duration: number;
  grid: Grid | null;
  histogram: OffsetHistogram | null;
}

/** What is quieter than this, -40 dBFS, is not blown up to fill a lane. */
const QUIETEST_FULL_SCALE = 0.01;

/** Keeps what each canvas shows and repaints the one that a message is about. Runs in the drawing worker, or on a page that lacks one. */
export class Desk {
  readonly #pictures = new Map<number, Picture>();
  readonly #waiting = new Set<Picture>();

  /** @param later runs a repaint after the messages that are already there, so that ten of them cost one repaint */
  constructor(private readonly later: (repaint: () => void) => void) {}

  /** Applies one message. */
  take(message: DeskMessage): void {
    if (message.kind === "attach") {
      const blank = {
        width: 0,
        height: 0,
        pixelRatio: 1,
        colours: null,
        peaks: null,
        spectrogram: null,
        constellation: null,
        pairs: null,
        scaledAs: message.picture,
        duration: 0,
        grid: null,
        histogram: null,
      };
      const surface = message.canvas.getContext("2d") as Surface | null;
      this.#pictures.set(message.picture, { canvas: message.canvas, surface, ...blank });
      return;
    }
    const picture = this.#pictures.get(message.picture);
    if (!picture) return;
    switch (message.kind) {
      case "detach":
        this.#pictures.delete(message.picture);
        return;
      case "size":
        picture.width = message.width;
        picture.height = message.height;
        picture.pixelRatio = message.pixelRatio;
        break;
      case "colours":
        picture.colours = message.colours;
        break;
      case "sound":
        picture.peaks = new Peaks(message.frames);
        picture.duration = message.frames / message.sampleRate;
        picture.scaledAs = message.scaledAs;
        break;
      case "spectrogram":
        picture.spectrogram = new Spectrogram(message.frames, message.sampleRate);
        picture.duration = message.frames / message.sampleRate;
        break;
      case "samples":
        picture.peaks?.add(message.start, message.channels);
        picture.spectrogram?.add(message.start, message.channels);
        break;
      case "constellation":
        picture.constellation = message.constellation;
        break;
      case "pairs":
        picture.pairs = message.pairs;
        break;
      case "grid":
        picture.grid = message.grid;
        break;
      case "histogram":
        picture.histogram = message.histogram;
        break;
    }
    this.#repaintLater(picture);
  }

  #repaintLater(picture: Picture): void {
    if (this.#waiting.has(picture)) return;
    this.#waiting.add(picture);
    this.later(() => {
      this.#waiting.delete(picture);
      repaint(picture, Math.max(QUIETEST_FULL_SCALE, this.#pictures.get(picture.scaledAs)?.peaks?.largest ?? 1));
    });
  }
}

function repaint(picture: Picture, fullScale: number): void {
  const { canvas, surface, width, height, pixelRatio, colours } = picture;
  if (width === 0 || height === 0 || !colours || !surface) return;
  // Setting a size clears the canvas, also where it is unchanged.
  canvas.width = Math.round(width * pixelRatio);
  canvas.height = Math.round(height * pixelRatio);
  surface.scale(canvas.width / width, canvas.height / height);
  if (picture.peaks) paintWaveform(surface, width, height, picture.peaks, fullScale, colours.picture);
  if (picture.spectrogram) paintSpectrogram(surface, width, height, picture.spectrogram, colours.picture);
  if (picture.constellation) paintConstellation(surface, width, height, picture.duration, picture.constellation, colours.mark);
  if (picture.pairs) paintPairs(surface, width, height, picture.pairs, colours.grid);
  if (picture.grid) paintBeatGrid(surface, width, height, picture.duration, picture.grid, colours.grid);
  if (picture.histogram) paintHistogram(surface, width, height, picture.histogram, colours.picture);
}
