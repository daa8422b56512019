import { OtolithError, unreadableError } from "./errors.js";
import { type OptionReader, show } from "./options.js";
import type { Platform } from "./platform.js";
import { readBody } from "./response.js";
import type { Samples, SoundSource } from "./worker/protocol.js";

/**
 * A sound: an encoded file (`File`, `Blob`, `ArrayBuffer`, `Uint8Array`, or the `URL` of one), or samples (an `AudioBuffer`, or planar
 * `channels` of one length, 1 to 8, -1..1 nominal, at `sampleRate` hertz, 8 000 to 192 000). Encoded files may be WAV, FLAC, MP3, AAC in
 * MP4, Vorbis, ALAC or AIFF, and on a page also Opus in Ogg and WebM, by the browser's own decoder; what counts is the content, not the
 * name.
 *
 * Samples and buffers are copied when the job is made, unless `transfer: true` gives them away. In Node a `file:` URL is read from
 * disk: `pathToFileURL(path)` makes one. A bare string is refused, since it could be a path, an address or a name.
 */
export type AudioInput = Blob | ArrayBuffer | Uint8Array | URL | AudioBufferLike | AudioSamples;

/** Planar samples. */
export interface AudioSamples {
  /** One array per channel, all of one length, -1..1 nominal. */
  readonly channels: readonly Float32Array[];
  /** Hertz. */
  readonly sampleRate: number;
}

/** The part of a Web Audio `AudioBuffer` that is read. */
export interface AudioBufferLike {
  /** Channels in the buffer. */
  readonly numberOfChannels: number;
  /** Hertz. */
  readonly sampleRate: number;
  /** The samples of one channel. */
  getChannelData(channel: number): Float32Array;
}

/** Option of every call that takes a sound. */
export interface InputOptions {
  /** Gives the input's buffers away instead of copying them: they are empty afterwards. Default false. */
  readonly transfer?: boolean;
}

/** A sound that belongs to a job: ready to go to a worker, but for the fetching of a URL. @internal */
export type HeldInput = SoundSource | { readonly kind: "url"; readonly url: URL };

/** Takes an input over, synchronously: what the caller does with it afterwards no longer matters. @internal */
export function holdInput(input: unknown, reader: OptionReader): HeldInput {
  const transfer = reader.boolean("transfer") ?? false;
  if (input instanceof URL) return { kind: "url", url: input };
  if (typeof Blob === "function" && input instanceof Blob) return { kind: "file", bytes: input, name: blobName(input) };
  if (input instanceof ArrayBuffer) return { kind: "file", bytes: transfer ? moved(input) : input.slice(0), name: "" };
  if (input instanceof Uint8Array) return { kind: "file", bytes: bufferOf(input, transfer), name: "" };
  if (isAudioBuffer(input)) {
    const channels = Array.from({ length: input.numberOfChannels }, (_, index) => input.getChannelData(index).slice());
    return { kind: "samples", channels, sampleRate: input.sampleRate };
  }
  if (typeof input === "object" && input !== null && "channels" in input && "sampleRate" in input) return holdSamples(input, transfer);
  const advice = typeof input === "string" ? "; for an address pass new URL(...), for a path in Node pathToFileURL(...)" : "";
  throw new TypeError(
    `input must be a File, Blob, ArrayBuffer, Uint8Array, URL, AudioBuffer or { channels, sampleRate }, got ${show(input)}${advice}`,
  );
}

/** Checks planar samples and copies or takes them. @internal */
export function holdSamples(input: { channels: unknown; sampleRate: unknown }, transfer: boolean): Samples & { kind: "samples" } {
  const { channels, sampleRate } = input;
  if (!Array.isArray(channels)) throw new TypeError(`input.channels must be an array of Float32Array, got ${show(channels)}`);
  if (typeof sampleRate !== "number") throw new TypeError(`input.sampleRate must be a number of hertz, got ${show(sampleRate)}`);
  for (const [index, channel] of channels.entries()) {
    if (!(channel instanceof Float32Array)) throw new TypeError(`input.channels[${index}] must be a Float32Array, got ${show(channel)}`);
    // Checked again in Rust, but a transfer cannot be taken back.
    if (channel.length !== channels[0].length)
      throw new OtolithError(
        "invalid-input",
        `input.channels[${index}] has ${channel.length} samples, channel 0 has ${channels[0].length}`,
      );
  }
  const arrays = channels as Float32Array[];
  // Two channels may be views of one buffer, which can only be moved once.
  const whole = arrays.every((one) => isWhole(one) && arrays.filter(({ buffer }) => buffer === one.buffer).length === 1);
  const held = arrays.map((one) => (transfer && whole ? new Float32Array(moved(one.buffer as ArrayBuffer)) : new Float32Array(one)));
  return { kind: "samples", channels: held, sampleRate };
}

/** Bytes of a sound in hand: of the encoded file, or of its samples. @internal */
export function bytesOf(source: SoundSource): number {
  if (source.kind === "samples") return source.channels.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return source.bytes instanceof ArrayBuffer ? source.bytes.byteLength : source.bytes.size;
}

/** Name of a sound, without folders; "" if it has none. @internal */
export function nameOf(input: HeldInput): string {
  if (input.kind === "samples") return "";
  return input.kind === "file" ? input.name : lastPart(input.url);
}

/** The held input, fetched if it is a URL. @internal */
export async function openInput(
  input: HeldInput,
  {
    platform,
    limit,
    signal,
    report,
  }: { platform: Platform; limit: number; signal: AbortSignal; report: (done: number, total: number | null) => void },
): Promise<SoundSource> {
  if (input.kind !== "url") {
    if (input.kind !== "file" || input.bytes instanceof ArrayBuffer || "path" in input.bytes) return input;
    if (input.bytes.size > limit) throw tooLarge("the file", limit);
    return platform.blobsTravel ? input : { ...input, bytes: await readBlob(input.bytes, input.name) };
  }
  let response: Response;
  try {
    const onDisk = await platform.fileAt(input.url);
    if (onDisk && onDisk.size > limit) throw tooLarge(`the file at ${input.url}`, limit);
    if (onDisk) return { kind: "file", bytes: onDisk, name: lastPart(input.url) };
    response = await platform.fetch(input.url, signal);
  } catch (cause) {
    if (cause instanceof OtolithError) throw cause;
    signal.throwIfAborted();
    throw new OtolithError("invalid-input", `could not fetch ${input.url}: the address is wrong, the network is down or CORS forbids it`, {
      cause,
    });
  }
  if (!response.ok) {
    const { status } = response;
    throw new OtolithError("invalid-input", `could not fetch ${input.url}: HTTP status ${status}`, { status });
  }
  const failed = (what: string, cause: unknown) =>
    new OtolithError("invalid-input", `could not fetch ${input.url}: the answer ${what}; try again`, { cause });
  const bytes = await readBody(response, { limit, signal, report, failed });
  if (bytes.byteLength > limit) throw tooLarge(`the file at ${input.url}`, limit);
  return { kind: "file", bytes, name: lastPart(input.url) };
}

/** Buffers of a source that go to the worker without a copy: they belong to the job. @internal */
export function transferOf(source: SoundSource): ArrayBuffer[] {
  if (source.kind === "samples") return source.channels.map(({ buffer }) => buffer as ArrayBuffer);
  return source.bytes instanceof ArrayBuffer ? [source.bytes] : [];
}

/** The bytes of a `Blob`, or from `start` to `end` of them. @internal */
export async function readBlob(blob: Blob, name: string, start = 0, end = blob.size): Promise<ArrayBuffer> {
  try {
    return await blob.slice(start, end).arrayBuffer();
  } catch (cause) {
    throw unreadableError(name, cause);
  }
}

function tooLarge(file: string, limit: number): OtolithError {
  const message = `${file} has more than ${limit} bytes: raise limits.inputBytes or give less`;
  return new OtolithError("limit", message, { details: { limit: "inputBytes", allowed: limit } });
}

function lastPart({ pathname }: URL): string {
  const name = pathname.split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function blobName(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" ? blob.name : blob.type;
}

function bufferOf(view: Uint8Array, transfer: boolean): ArrayBuffer {
  if (transfer && isWhole(view)) return moved(view.buffer as ArrayBuffer);
  return new Uint8Array(view).buffer;
}

/** Moves a buffer out of the caller's hands. */
function moved(buffer: ArrayBuffer): ArrayBuffer {
  return structuredClone(buffer, { transfer: [buffer] });
}

function isWhole({ buffer, byteLength }: ArrayBufferView): boolean {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
}

function isAudioBuffer(input: unknown): input is AudioBufferLike {
  return typeof input === "object" && input !== null && "getChannelData" in input && typeof input.getChannelData === "function";
}
