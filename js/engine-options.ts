import type { Authorize } from "./authorization.js";
import type { ModelsOption } from "./models.js";
import { OptionReader } from "./options.js";
import type { ScriptUrl } from "./platform.js";
import type { PolicyOption, Tier } from "./policy.js";
import type { WasmSource } from "./wasm-files.js";
import type { SoundLimits, WorkerKind } from "./worker/protocol.js";

/** Options of `createEngine`. */
export interface EngineOptions {
  /** Workers that compute at once, 1..64. Default: one less than the processors, at least 1 and at most 4. */
  readonly workers?: number;
  /** What the user has paid for: read once, here. Default "none": a page without tiers. */
  readonly tier?: Tier;
  /** What tiers include, where that is not the default. */
  readonly policy?: PolicyOption;
  /** Asked before each separation; see {@link Authorize}. Default: everything is allowed. */
  readonly authorize?: Authorize;
  /** Where models come from: see {@link ModelsOption}. Default: the package's own files. */
  readonly models?: ModelsOption;
  /** Where the package's files are served, if not beside its script. */
  readonly urls?: EngineUrls;
  /** How much a call may ask for. */
  readonly limits?: EngineLimits;
  /** Where warnings go. Default: the console, which gets one if two copies of the package are loaded. */
  readonly logger?: Logger;
}

/** Addresses of the package's files. */
export interface EngineUrls {
  /** `worker.js`. Passed on untouched, so it may be a `TrustedScriptURL`. */
  readonly worker?: ScriptUrl;
  /** `core.wasm`, or the file itself. */
  readonly core?: WasmSource;
  /** `neural.wasm`, or the file itself. It is fetched when the first separation needs it. */
  readonly neural?: WasmSource;
  /**
   * onnxruntime-web's module for WebGPU, fetched when the first job of tier pro or vip may use it. Default: `onnxruntime-web/webgpu` by
   * the page's import map.
   */
  readonly onnxruntime?: string | URL;
}

/** Limits, each checked before memory is taken; beyond it a call rejects with `limit`. */
export interface EngineLimits {
  /** Longest sound, in seconds. Default 14 400. */
  readonly durationSeconds?: number;
  /** Largest encoded file, in bytes. Default 1 GiB. */
  readonly inputBytes?: number;
  /**
   * Largest decoded sound in memory, in bytes of planar 32-bit samples. Default 1 GiB: 50 min of stereo at 44.1 kHz. A separation hears its
   * sound in blocks, so that only `durationSeconds` bounds it.
   */
  readonly decodedBytes?: number;
  /** Packets that a decoder may read per byte of the file, plus 1000. Default 1. */
  readonly packetsPerByte?: number;
  /**
   * Most bytes of decoded sound that a separation of a file keeps outside wasm; a longer file is decoded twice instead, with the same
   * result. Default 256 MiB: 12 min of stereo at 44.1 kHz.
   */
  readonly heldBytes?: number;
  /** Largest whole result of a separation, in bytes. Default 2 GiB. */
  readonly resultBytes?: number;
  /** Separations that run at once, 1..16; the others wait. Default 1: each uses all workers. */
  readonly concurrentJobs?: number;
  /** Milliseconds that the `authorize` hook may take, 1..600 000. Default 30 000. */
  readonly authorizeMs?: number;
}

/** Takes the engine's warnings. */
export interface Logger {
  /** A sentence about something that still works, but not as well as it could. */
  warn(message: string): void;
}

const GIB = 1024 ** 3;
const SOUND_LIMITS = ["durationSeconds", "inputBytes", "decodedBytes", "packetsPerByte"] as const;

/** Limits, checked. @internal */
export interface CheckedLimits {
  readonly sound: SoundLimits;
  readonly inputBytes: number;
  readonly heldBytes: number;
  readonly resultBytes: number;
  readonly concurrentJobs: number;
  readonly authorizeMs: number;
}

/** @internal */
export function readLimits(reader: OptionReader): CheckedLimits {
  const limits = new OptionReader(reader.any("limits"), "options.limits", [
    ...SOUND_LIMITS,
    "heldBytes",
    "resultBytes",
    "concurrentJobs",
    "authorizeMs",
  ]);
  const sound: SoundLimits = {};
  for (const name of SOUND_LIMITS) {
    const value = limits.number(name, { min: 0, max: Number.MAX_SAFE_INTEGER });
    if (value !== undefined) sound[name] = value;
  }
  return {
    sound,
    inputBytes: sound.inputBytes ?? GIB,
    heldBytes: limits.number("heldBytes", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? GIB / 4,
    resultBytes: limits.number("resultBytes", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 2 * GIB,
    concurrentJobs: limits.number("concurrentJobs", { min: 1, max: 16, whole: true }) ?? 1,
    authorizeMs: limits.number("authorizeMs", { min: 1, max: 600_000 }) ?? 30_000,
  };
}

/** Addresses, checked. @internal */
export interface CheckedUrls {
  readonly worker: ScriptUrl | undefined;
  readonly wasm: Partial<Record<WorkerKind, WasmSource>>;
  readonly onnxruntime: string | URL | undefined;
}

/** @internal */
export function readUrls(reader: OptionReader): CheckedUrls {
  const urls = new OptionReader(reader.any("urls"), "options.urls", ["worker", "core", "neural", "onnxruntime"]);
  const wasm: Partial<Record<WorkerKind, WasmSource>> = {};
  for (const kind of ["core", "neural"] as const) {
    const source = urls.any(kind);
    if (source === undefined) continue;
    if (!isWasmSource(source)) throw urls.wrong(kind, "a string, URL, Response, ArrayBuffer or WebAssembly.Module");
    wasm[kind] = source;
  }
  const onnxruntime = urls.any("onnxruntime");
  if (onnxruntime !== undefined && typeof onnxruntime !== "string" && !(onnxruntime instanceof URL))
    throw urls.wrong("onnxruntime", "a string or URL");
  return { worker: urls.any("worker") as ScriptUrl | undefined, wasm, onnxruntime };
}

function isWasmSource(value: unknown): value is WasmSource {
  if (typeof value === "string" || value instanceof URL || value instanceof ArrayBuffer) return true;
  return value instanceof Response || value instanceof WebAssembly.Module;
}

/** @internal */
export function readLogger(reader: OptionReader): Logger {
  const logger = reader.any("logger");
  if (logger === undefined) return console;
  if (typeof (logger as Partial<Logger> | null)?.warn !== "function") throw reader.wrong("logger", "an object with a function warn");
  return logger as Logger;
}
