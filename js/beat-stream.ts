import { type BeatMethod, type BeatNotice, type BeatWorkshop, findNetwork, loadNetwork, noticeOf } from "./beat-network.js";
import { type BeatSettings, readBeatSettings, TRACKING_OPTIONS } from "./beats.js";
import { disposedError } from "./errors.js";
import { OptionReader, show } from "./options.js";
import type { WorkerLink } from "./worker/link.js";
import type { WorkerKind } from "./worker/protocol.js";

/** Options of `engine.beatStream`. */
export interface BeatStreamOptions extends BeatSettings {
  /** Samples a second of what will be pushed, a whole number in 8 000..192 000. */
  readonly sampleRate: number;
}

/** A beat as it was heard. */
export interface BeatEvent {
  readonly kind: "beat";
  /** Seconds from the stream's first sample to the beat. */
  readonly time: number;
  /** Whether it begins a bar, as far as the bars before it tell. */
  readonly downbeat: boolean;
  /** Tempo of the last beats. */
  readonly bpm: number;
  /** How sure the tempo is, 0..1. */
  readonly confidence: number;
  /** Whether nothing was heard there: the beat is where the tempo puts it. Beats go on so for at most 2 s. */
  readonly extrapolated: boolean;
  /** Seconds from the stream's first sample to the last one that was needed to tell. */
  readonly emittedAt: number;
}

/** What a worker says of a stream it opened. */
export interface OpenedBeatStream {
  readonly latency: number;
  readonly method: "tcn" | "flux";
  readonly model: { readonly name: string; readonly version: string } | null;
  readonly notice: BeatNotice | null;
}

/**
 * Beats of a sound while it is heard, in a worker of its own. Events depend on the samples alone and not on how they were cut; memory does
 * not grow with the stream. Close it when it is no longer needed.
 */
export class BeatStream {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Most seconds from a beat to the sample that lets it be told; what the page adds on the way comes on top. */
  readonly latency: number;
  /** What the beats are found by. */
  readonly method: "tcn" | "flux";
  /** The network at work; null by flux. */
  readonly model: { readonly name: string; readonly version: string } | null;
  /** Why `auto` used flux; null if there is nothing to say. */
  readonly notice: BeatNotice | null;
  readonly #link: WorkerLink;
  readonly #onClose: () => void;
  #replaced = 0;

  /** @internal Made by `engine.beatStream`. */
  constructor(sampleRate: number, opened: OpenedBeatStream, link: WorkerLink, onClose: () => void) {
    this.sampleRate = sampleRate;
    this.latency = opened.latency;
    this.method = opened.method;
    this.model = opened.model;
    this.notice = opened.notice;
    this.#link = link;
    this.#onClose = onClose;
  }

  /** Samples so far that were no finite numbers and taken as 0. */
  get replaced(): number {
    return this.#replaced;
  }

  /**
   * Takes the next samples, any number of them, and gives the beats that they complete: one channel, or several of one length, of which the
   * mean is heard. Calls are answered in order; the samples are copied.
   *
   * Errors: `invalid-input` after {@link BeatStream.flush}, or for channels of unequal length; `disposed` after {@link BeatStream.close};
   * `crashed`.
   */
  async push(samples: Float32Array | readonly Float32Array[]): Promise<BeatEvent[]> {
    const channels = samples instanceof Float32Array ? [samples] : samples;
    if (!Array.isArray(channels) || channels.length === 0 || !channels.every((channel) => channel instanceof Float32Array))
      throw new TypeError(`samples must be a Float32Array or an array of them, got ${show(samples)}`);
    const copies = channels.map((channel: Float32Array) => channel.slice());
    const transfer = copies.map(({ buffer }) => buffer);
    const { events, replaced } = await this.#link.call("pushBeatStream", { channels: copies }, { transfer });
    this.#replaced = replaced;
    return events;
  }

  /** Ends the stream and gives the beats still to come. */
  async flush(): Promise<BeatEvent[]> {
    const { events, replaced } = await this.#link.call("flushBeatStream", {});
    this.#replaced = replaced;
    return events;
  }

  /** Ends the stream's worker. Calls under way, and all later ones, reject with `disposed`. */
  close(): void {
    this.#link.close(disposedError("the beat stream"));
    this.#onClose();
  }

  /** As {@link BeatStream.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens a stream in a worker that `start` makes. @internal */
export async function openBeatStream(
  workshop: BeatWorkshop,
  options: BeatStreamOptions | undefined,
  closed: AbortSignal,
  start: (kind: WorkerKind) => Promise<WorkerLink>,
  onClose: (stream: BeatStream) => void,
): Promise<BeatStream> {
  const reader = new OptionReader(options, "options", [...TRACKING_OPTIONS, "sampleRate"]);
  const sampleRate = reader.number("sampleRate", { min: 8_000, max: 192_000, unit: "Hz", whole: true });
  if (sampleRate === undefined) throw reader.wrong("sampleRate", "a whole number in 8000..192000 Hz");
  const settings = readBeatSettings(reader);
  const { method } = settings;
  const found = await findNetwork(workshop, "beat-activations-causal", method, { signal: closed, started: () => {}, report: () => {} });
  const { link, opened } = await open(start, found, method, { sampleRate, options: settings });
  const stream: BeatStream = new BeatStream(sampleRate, opened, link, () => onClose(stream));
  return stream;
}

async function open(
  start: (kind: WorkerKind) => Promise<WorkerLink>,
  found: Awaited<ReturnType<typeof findNetwork>>,
  method: BeatMethod,
  params: { readonly sampleRate: number; readonly options: BeatSettings },
): Promise<{ link: WorkerLink; opened: OpenedBeatStream }> {
  const attempt = async (kind: WorkerKind, rest: { readonly model?: string; readonly notice?: BeatNotice }) => {
    const link = await start(kind);
    try {
      if ("network" in found && rest.model) await loadNetwork(link, found.network);
      return { link, opened: await link.call("openBeatStream", { ...params, ...rest }) };
    } catch (thrown) {
      link.close(thrown);
      throw thrown;
    }
  };
  if (!("network" in found)) return attempt("core", { notice: found.notice });
  try {
    return await attempt("neural", { model: found.network.key });
  } catch (thrown) {
    return attempt("core", { notice: noticeOf(thrown, method) });
  }
}
