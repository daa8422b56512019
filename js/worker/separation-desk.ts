import { OtolithError } from "../errors.js";
import { type Call, isTrap, use } from "./call.js";
import { type EncodedFile, openEncoded } from "./encoded-file.js";
import type { Calls, ChunkInput, SegmentData, SeparationPlan, SoundInput } from "./protocol.js";
import type { CoreRooms, Decoder, Separation, Sound } from "./rooms.js";

/** Frames of samples in hand that are heard at once. */
const BLOCK = 1 << 16;
/** A separation holds no more than a stretch, however long the sound is. */
const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/** Planar samples outside wasm. */
type Page = Float32Array<ArrayBuffer>[];

/**
 * The home side of one separation. The sound is heard twice: to measure it, then chunk by chunk. Its mix is kept in pages outside wasm for
 * the second time as long as those fit in a limit; a longer file is decoded twice, and memory is the same for any length.
 */
export class SeparationDesk {
  readonly #rooms: CoreRooms;
  #separation: Separation | undefined;
  #file: EncodedFile | undefined;
  /** The second hearing. */
  #blocks: Generator<Sound | undefined, void> | undefined;

  constructor(rooms: CoreRooms) {
    this.#rooms = rooms;
  }

  /** Hears the sound for the first time. */
  async open({ entry, options, heldBytes, ...input }: Calls["openSeparation"]["params"], call: Call): Promise<SeparationPlan> {
    this.close();
    const { source } = input;
    const phase = source.kind === "file" ? "decode" : "analyze";
    if (source.kind === "file") this.#file = await openEncoded(source.bytes, source.name);
    const heard = { progress: 0, declared: undefined as number | undefined, warnings: [] as string[] };
    let pages: Page[] | undefined = source.kind === "file" ? [] : undefined;
    let pageBytes = 0;
    let channelCount = 0;
    call.report(phase, 0, 1);
    for (const block of this.#hear(input, heard)) {
      if (block) {
        if (!this.#separation) {
          ({ channelCount } = block);
          this.#separation = new this.#rooms.Separation(block, entry, options);
          const declared = (heard.declared ?? 0) * Math.min(2, channelCount) * Float32Array.BYTES_PER_ELEMENT;
          if (declared > heldBytes) pages = undefined;
        }
        const page = this.#separation.measure(block, pages !== undefined);
        pages?.push(page);
        pageBytes += page.reduce((sum, { byteLength }) => sum + byteLength, 0);
        if (pageBytes > heldBytes) pages = undefined;
      }
      call.report(phase, heard.progress, 1);
      await call.pause();
    }
    const separation = this.#opened();
    separation.finishMeasuring();
    call.report(phase, 1, 1);
    await call.pause();
    this.#blocks = pages ? this.#turn(pages, separation.inputRate) : this.#hear(input);
    const { chunkCount, stemNames, sampleRate, frames, chunkSize, overlapSize } = separation;
    const { warnings } = heard;
    const held = (this.#file?.held ?? 0) + Math.min(pageBytes, heldBytes) + (source.kind === "samples" ? bytesOf(source.channels) : 0);
    return { chunkCount, stemNames, sampleRate, channelCount, frames, chunkSize, overlapSize, warnings, heldBytes: held };
  }

  /** The next chunk, heard for the second time. */
  async chunk(index: number, call: Call): Promise<ChunkInput> {
    const separation = this.#opened();
    while (separation.needsSound) {
      const next = this.#blocks?.next();
      if (!next || next.done) break;
      if (next.value) separation.feed(next.value);
      await call.pause();
    }
    return separation.chunk(index);
  }

  /** Joins the stems of a chunk. */
  push(index: number, stems: Float32Array | undefined): SegmentData {
    const separation = this.#opened();
    const segment = separation.push(index, stems);
    return use(segment, () => {
      const channelsOf = (stem: number) => Array.from({ length: segment.channelCount }, (_, channel) => segment.stem(stem, channel));
      const { index: position, start, frames } = segment;
      return { index: position, start, frames, stems: separation.stemNames.map((_, stem) => channelsOf(stem)) };
    });
  }

  get peakGains(): number[] {
    return [...this.#opened().peakGains()];
  }

  close(): void {
    this.#blocks?.return();
    this.#separation?.free();
    this.#file?.close();
    this.#blocks = this.#separation = this.#file = undefined;
  }

  #opened(): Separation {
    if (!this.#separation) throw new OtolithError("internal", "no separation is open in this worker");
    return this.#separation;
  }

  /** The sound in blocks from its start, or nothing where a step gave none. */
  *#hear({ source, limits }: SoundInput, heard?: { progress: number; declared: number | undefined; warnings: string[] }) {
    const { Sound, Decoder } = this.#rooms;
    if (source.kind === "samples") {
      const { channels, sampleRate } = source;
      const frames = channels[0]?.length ?? 0;
      // A sound of no frames is a block, too: it has a shape.
      for (let at = 0; at === 0 || at < frames; at += BLOCK) {
        if (heard) heard.progress = at / Math.max(1, frames);
        const views = channels.map((channel) => channel.subarray(at, at + BLOCK));
        yield new Sound(views, sampleRate, { ...limits, decodedBytes: UNBOUNDED }, at);
      }
      return;
    }
    if (!this.#file) return;
    const decoder = new Decoder(this.#file, source.name, limits, true);
    if (heard) heard.declared = decoder.declaredFrames;
    let owned: Decoder | undefined = decoder;
    try {
      while (decoder.step()) {
        if (heard) heard.progress = decoder.progress();
        yield decoder.block();
      }
      // Consumes the decoder.
      owned = undefined;
      const last = decoder.finish();
      if (heard) heard.warnings = last.warnings;
      yield last;
    } catch (thrown) {
      if (isTrap(thrown)) owned = undefined;
      throw thrown;
    } finally {
      owned?.free();
    }
  }

  /** The sound from its pages, each let go once it is heard. */
  *#turn(pages: (Page | undefined)[], sampleRate: number) {
    for (const [index, page] of pages.entries()) {
      pages[index] = undefined;
      if (page) yield new this.#rooms.Sound(page, sampleRate, { durationSeconds: UNBOUNDED, decodedBytes: UNBOUNDED });
    }
  }
}

function bytesOf(channels: readonly Float32Array[]): number {
  return channels.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
