import type { Environment } from "./environment.js";
import type { ModelCache } from "./model-cache.js";
import type { WebAudioDecode } from "./web-audio-decoder.js";
import type { DiskFile } from "./worker/protocol.js";

/** What the two entries of the package differ in: how workers start, where the package's files lie, where models are kept. @internal */
export interface Platform {
  /** What the page or runtime offers. */
  readonly environment: Environment;
  /** Starts the worker script at `url`, or the package's own. */
  startWorker(url: ScriptUrl | undefined): WorkerPort;
  /** `fetch`, but for addresses that only this platform can read. */
  fetch(url: URL, signal: AbortSignal): Promise<Response>;
  /** A file that workers can read from disk; undefined for other addresses. */
  fileAt(url: URL): Promise<DiskFile | undefined>;
  /** Whether workers read a `Blob` by stretches. Where not, it is read before: Node does not even hand every one of them to a worker. */
  readonly blobsTravel: boolean;
  /** The decoder of the browser, for what the crate does not read; undefined where there is none. */
  readonly decode: WebAudioDecode | undefined;
  /** Where core.wasm lies. */
  coreUrl(): URL;
  /** Where neural.wasm lies. */
  neuralUrl(): URL;
  /**
   * Where onnxruntime-web's module for WebGPU lies: at `url`, or where the page's import map says.
   * @throws {OtolithError} `gpu-unavailable` where that cannot be told
   */
  gpuModule(url: string | URL | undefined): string;
  /** Where relative addresses start; undefined if there is no such place. */
  readonly baseUrl: string | undefined;
  /** Keeps fetched models between visits. Reports through `warn` where it has to give up. */
  openModelCache(warn: (message: string) => void): ModelCache;
}

/** The address of a script. A `TrustedScriptURL` is passed on untouched, for pages that require Trusted Types. */
export type ScriptUrl = string | URL | TrustedScriptUrl;

/** A `TrustedScriptURL` of a Trusted Types policy; TypeScript's DOM library does not know it yet. */
export interface TrustedScriptUrl {
  toString(): string;
  toJSON(): string;
}

/** A started worker. @internal */
export interface WorkerPort {
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Called with each message. */
  onMessage: (data: unknown) => void;
  /** Called when the worker cannot be started or has ended by itself. */
  onFailure: (reason: string) => void;
  terminate(): void;
  /** Whether the worker keeps the process alive. */
  keepAlive(keep: boolean): void;
}
