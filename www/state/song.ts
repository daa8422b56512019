import type { BeatTrack } from "otolith";
import type { SongPrint } from "./print-peaks.js";

/** Sound samples as the engine gives and takes them: planar, -1..1 nominal, with their rate in hertz. */
export interface Sound {
  readonly channels: Float32Array[];
  readonly sampleRate: number;
}

/** How far the separation of a song has come. */
export type SeparationState = "none" | "running" | "done";

/** What the page knows about the song that is open. Filled as results come. */
export class Song {
  /** Beats; `null` until they are found. */
  beats: BeatTrack | null = null;
  /** Fingerprint; `null` until it is made. */
  print: SongPrint | null = null;
  /** Separated sound by stem name; empty until a separation is done. */
  stems: ReadonlyMap<string, Sound> = new Map();
  separation: SeparationState = "none";

  /**
   * @param file the encoded file, whose name is shown as text only
   * @param sound its decoded samples
   * @param warnings what was damaged or missing in the file, a sentence each
   */
  constructor(
    readonly file: File,
    readonly sound: Sound,
    readonly warnings: readonly string[],
  ) {}

  /** The file's name without its extension. */
  get title(): string {
    return this.file.name.replace(/\.[^.]{1,5}$/, "") || this.file.name;
  }

  /** Length in seconds. */
  get duration(): number {
    return frameCount(this.sound) / this.sound.sampleRate;
  }
}

/** Frames of a sound. */
export function frameCount(sound: Sound): number {
  return sound.channels[0]?.length ?? 0;
}

/** Up to `seconds` of a sound from `start` seconds on. */
export function excerpt(sound: Sound, start: number, seconds: number): Sound {
  const from = Math.round(start * sound.sampleRate);
  const to = from + Math.round(seconds * sound.sampleRate);
  return { channels: sound.channels.map((channel) => channel.slice(from, to)), sampleRate: sound.sampleRate };
}
