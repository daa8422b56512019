import { readBlob } from "./audio-input.js";
import { OtolithError } from "./errors.js";
import type { SoundLimits, SoundSource } from "./worker/protocol.js";

/** Bytes of a file's start that tell its codec: an Ogg page header and the identification header of Opus. */
const HEAD_BYTES = 64;
/** The last page of an Ogg stream begins in here: a page has at most 65 307 bytes. */
const TAIL_BYTES = 65_536;
/** Ogg counts Opus in samples of 48 kHz, whatever was encoded (RFC 7845, section 4). */
const OPUS_RATE = 48_000;

/** The crate's own limits where the caller sets none (src/limits.rs). */
const DEFAULT_LIMITS = { durationSeconds: 14_400, decodedBytes: 2 ** 30 };

/** Decodes a whole encoded file; rejects if it cannot. @internal */
export type WebAudioDecode = (bytes: ArrayBuffer) => Promise<AudioBuffer>;

/** The browser's own decoder, where it has one: pages do, workers and Node do not. @internal */
export function findWebAudioDecode(scope: { OfflineAudioContext?: typeof OfflineAudioContext }): WebAudioDecode | undefined {
  const Context = scope.OfflineAudioContext;
  // 48 kHz: the rate of every Opus decoder, so nothing is resampled.
  return Context && ((bytes) => new Context(1, 1, OPUS_RATE).decodeAudioData(bytes));
}

/**
 * Opus in Ogg, and WebM, as samples by the browser's decoder; any other source as it is, and these too where there is no such decoder: the
 * worker then refuses them by name.
 *
 * The limits of an Ogg file are checked by the length that its last page states, before it is decoded. A WebM recording states none, so
 * its samples are checked by the worker.
 *
 * Errors: `limit`; `invalid-input` if the file cannot be read; `unsupported-format` if the browser refuses it. @internal
 */
export async function decodeByBrowser(source: SoundSource, limits: SoundLimits, decode: WebAudioDecode | undefined): Promise<SoundSource> {
  // A file on disk is one in Node, which has no such decoder.
  if (source.kind !== "file" || "path" in source.bytes || decode === undefined) return source;
  const { bytes, name } = source;
  const part = async (start: number, end?: number) =>
    bytes instanceof ArrayBuffer ? bytes.slice(start, end) : readBlob(bytes, name, start, end);
  const head = new Uint8Array(await part(0, HEAD_BYTES));
  const isOpus = startsWith(head, "OggS") && startsWith(head.subarray(28), "OpusHead");
  const isWebM = head[0] === 0x1a && head[1] === 0x45 && head[2] === 0xdf && head[3] === 0xa3;
  if (!isOpus && !isWebM) return source;
  if (isOpus) checkLength(lastGranule(new Uint8Array(await part(-TAIL_BYTES))), head[37] ?? 1, limits);
  const whole = bytes instanceof ArrayBuffer ? bytes : await readBlob(bytes, name);
  let sound: AudioBuffer;
  try {
    sound = await decode(whole);
  } catch (cause) {
    const message = `${name ? `"${name}"` : "the file"} is ${isOpus ? "Opus in Ogg" : "WebM"}, which this browser's decoder refuses: convert it to WAV, FLAC or MP3`;
    throw new OtolithError("unsupported-format", message, { cause });
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index).slice());
  return { kind: "samples", channels, sampleRate: sound.sampleRate };
}

function checkLength(samples: number, channels: number, limits: SoundLimits): void {
  const { durationSeconds, decodedBytes } = { ...DEFAULT_LIMITS, ...limits };
  const seconds = samples / OPUS_RATE;
  const refuse = (limit: string, given: string, allowed: number) => {
    throw new OtolithError("limit", `the sound has ${given}, ${allowed} are allowed: raise limits.${limit} or give less`, {
      details: { limit, allowed },
    });
  };
  if (seconds > durationSeconds) refuse("durationSeconds", `${seconds.toFixed(1)} seconds`, durationSeconds);
  const size = samples * channels * Float32Array.BYTES_PER_ELEMENT;
  if (size > decodedBytes) refuse("decodedBytes", `${size} decoded bytes`, decodedBytes);
}

/** Position at the end of the last Ogg page in `tail`, in samples; 0 if there is none. */
function lastGranule(tail: Uint8Array): number {
  for (let at = tail.length - 27; at >= 0; at -= 1) {
    if (!startsWith(tail.subarray(at), "OggS")) continue;
    const granule = new DataView(tail.buffer, tail.byteOffset + at + 6, 8).getBigInt64(0, true);
    // -1 marks a page on which no packet ends.
    if (granule >= 0n) return Number(granule);
  }
  return 0;
}

function startsWith(bytes: Uint8Array, word: string): boolean {
  return bytes.length >= word.length && Array.from(word).every((letter, index) => bytes[index] === letter.charCodeAt(0));
}
