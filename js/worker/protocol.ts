import type { ActivitySegment } from "../activity.js";
import type { BeatNotice } from "../beat-network.js";
import type { BeatEvent, OpenedBeatStream } from "../beat-stream.js";
import type { BeatSettings, BeatTrack } from "../beats.js";
import type { CatalogStats, TrackEntry } from "../catalog.js";
import type { OtolithErrorCode } from "../errors.js";
import type { FingerprintAlgorithm, FingerprintProfile } from "../fingerprint.js";
import type { JobPhase } from "../job.js";
import type { StorageFailure, StorageReply, StorageRequest } from "../storage/adapter.js";
import type { LocalStorage } from "../storage/choose.js";

/** What crosses between the page and a worker: requests with an id one way, progress and one answer with that id the other way. */

/** A file on disk, in Node, as it was when its job took it. */
export interface DiskFile {
  readonly path: string;
  readonly size: number;
  /** When it was last written, in nanoseconds since 1970. */
  readonly modified: bigint;
}

/** An encoded file: its bytes, something to read them from, or where they lie on disk. */
export type FileBytes = ArrayBuffer | Blob | DiskFile;

/** A sound on its way into a worker. */
export type SoundSource =
  | { readonly kind: "file"; readonly bytes: FileBytes; readonly name: string }
  | { readonly kind: "samples"; readonly channels: Float32Array[]; readonly sampleRate: number };

/** Limits that Rust checks, in its own names. */
export interface SoundLimits {
  durationSeconds?: number;
  inputBytes?: number;
  decodedBytes?: number;
  packetsPerByte?: number;
}

/** A sound in a worker's hands, with the limits it is read under. */
export interface SoundInput {
  readonly source: SoundSource;
  readonly limits: SoundLimits;
}

/** Options of a separation that Rust reads. */
export interface SeparationSettings {
  chunk?: number;
  overlap?: number;
  conditioning?: boolean;
  sampleRate?: "input" | 44100;
}

/** Options of a click track that Rust reads. */
export interface ClickSettings {
  gain?: number;
  mix?: boolean;
}

/** Options of a fingerprint that Rust reads. */
export interface FingerprintSettings {
  algorithm?: FingerprintAlgorithm;
  profile?: FingerprintProfile;
  mix?: string;
  silence?: number;
  batch?: number;
}

/** What a fingerprint is once it has left wasm. */
export interface PrintData {
  readonly algorithm: string;
  readonly profile: FingerprintProfile;
  readonly duration: number;
  readonly hashCount: number;
  readonly warnings: string[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A prepared separation. */
export interface SeparationPlan {
  readonly chunkCount: number;
  readonly stemNames: string[];
  readonly sampleRate: number;
  readonly channelCount: number;
  readonly frames: number;
  readonly chunkSize: number;
  readonly overlapSize: number;
  readonly warnings: string[];
  /** Most bytes that the worker holds outside wasm: pages of the mix, and the encoded file where it came as bytes. */
  readonly heldBytes: number;
}

/** One chunk for the network. */
export interface ChunkInput {
  readonly silent: boolean;
  readonly gain: number;
  readonly left: Float32Array<ArrayBuffer>;
  readonly right: Float32Array<ArrayBuffer>;
}

/** Input or output of a network, row-major. */
export interface NetworkTensor {
  readonly shape: number[];
  readonly values: Float32Array<ArrayBuffer>;
}

/** What a network makes of fixed noise on the CPU. */
export interface NetworkProbe {
  readonly inputShape: number[];
  readonly input: Float32Array<ArrayBuffer>;
  readonly outputShape: number[];
  readonly output: Float32Array<ArrayBuffer>;
}

/** A chunk on its way into a worker that has the model `key`. */
export interface ChunkParams {
  readonly key: string;
  readonly left: Float32Array;
  readonly right: Float32Array;
  readonly gain: number;
  readonly conditioning: boolean;
}

/** What runs a network. */
export type ChunkDevice = "cpu" | "webgpu";

/** A chunk's stems other than the residual, `[stems - 1][2][frames]`, and what its network ran on. */
export interface ChunkStems {
  readonly stems: Float32Array<ArrayBuffer>;
  readonly device: ChunkDevice;
}

/** A graphics adapter. */
export interface GpuAdapter {
  /** Vendor, architecture and the like, in words. */
  readonly name: string;
  /** It is a program on the processor. */
  readonly software: boolean;
}

/** A finished stretch of all stems: `stems[stem][channel]`. */
export interface SegmentData {
  readonly index: number;
  readonly start: number;
  readonly frames: number;
  readonly stems: Float32Array<ArrayBuffer>[][];
}

/** Sample formats of a WAV file. */
export type WavFormat = "wav16" | "wav24" | "wav32f";

/** Planar samples. */
export interface Samples {
  readonly channels: Float32Array<ArrayBuffer>[];
  readonly sampleRate: number;
}

/** A catalogue to open: in storage that the worker reaches, or of an adapter that the page has. */
export interface CatalogOpening {
  readonly name: string;
  readonly storage: LocalStorage | "adapter";
  readonly options: { algorithm?: string; profile?: string; residentBytes?: number };
}

/** A call of a catalogue. */
export type CatalogCommand =
  | { readonly kind: "enrol"; readonly id: string; readonly metadata: string; readonly print: Uint8Array; readonly replace: boolean }
  | { readonly kind: "enrolAudiofp"; readonly id: string; readonly metadata: string; readonly blob: Uint8Array; readonly replace: boolean }
  | { readonly kind: "remove"; readonly id: string }
  | { readonly kind: "match"; readonly print: Uint8Array; readonly options: MatchSettings }
  | { readonly kind: "compact" | "export" | "import" };

/** How a call of a catalogue goes on: it is done, it asks for files, it gives a piece, or it wants one. */
export type CatalogTurn =
  | { readonly kind: "done"; readonly outcome: unknown }
  | { readonly kind: "requests"; readonly requests: StorageRequest[] }
  | { readonly kind: "piece"; readonly piece: Uint8Array<ArrayBuffer> }
  | { readonly kind: "wants" };

/** What the page answers to a turn; nothing to a piece. */
export type CatalogAnswer =
  | { readonly replies: StorageReply[] }
  | StorageFailure
  | { readonly abandoned: string }
  | { readonly piece: Uint8Array | undefined }
  | Record<never, never>;

/** Options of a match that Rust reads. */
export interface MatchSettings {
  top?: number;
  perTrack?: number;
  minConfidence?: number;
  maxChange?: number;
}

/** How beats are to be found: by the network that is loaded under the key `model`, or without one and why. */
export interface BeatCall {
  readonly options: BeatSettings;
  readonly model?: string;
  readonly notice?: BeatNotice;
}

/** What a stream gave for the last samples, and how many so far were no numbers. */
export interface HeardBeats {
  readonly events: BeatEvent[];
  readonly replaced: number;
}

/** Every call a worker answers: what it takes and what it gives. */
export interface Calls {
  initialise: { params: { kind: WorkerKind; module: WebAssembly.Module }; result: { version: string } };
  decode: { params: SoundInput; result: Samples & { warnings: string[] } };
  encodeWav: { params: { channels: Float32Array[]; sampleRate: number; format: WavFormat }; result: Uint8Array<ArrayBuffer> };
  beats: { params: SoundInput & BeatCall; result: BeatTrack };
  openBeatStream: { params: BeatCall & { sampleRate: number }; result: OpenedBeatStream };
  pushBeatStream: { params: { channels: readonly Float32Array[] }; result: HeardBeats };
  flushBeatStream: { params: Record<never, never>; result: HeardBeats };
  clickTrack: {
    params: SoundInput & { beats: Float64Array; downbeats: Float64Array; options: ClickSettings };
    result: Samples & { warnings: string[] };
  };
  activity: { params: SoundInput & { options: { silence?: number } }; result: readonly ActivitySegment[] };
  /** By the network that is loaded under the key `model`, where there is one. */
  fingerprint: { params: SoundInput & { options: FingerprintSettings; model?: string }; result: PrintData };
  inspect: { params: { bytes: Uint8Array; options: { hashes?: number; peaks?: number } }; result: Readonly<Record<string, unknown>> };
  manifest: { params: { json: string; packageVersion: string }; result: string };
  sha256: { params: { bytes: ArrayBuffer }; result: string };
  verifyModel: { params: { entry: string; bytes: ArrayBuffer }; result: null };
  /** `heldBytes`: most bytes of decoded sound that are kept for the second hearing. */
  openSeparation: { params: SoundInput & { entry: string; options: SeparationSettings; heldBytes: number }; result: SeparationPlan };
  takeChunk: { params: { index: number }; result: ChunkInput };
  pushChunk: { params: { index: number; stems: Float32Array | undefined }; result: SegmentData };
  /** Factors that bring the peak of each stem of all segments so far to -1 dBFS. */
  peakGains: { params: Record<never, never>; result: number[] };
  scaleSamples: { params: { channels: Float32Array<ArrayBuffer>[]; gain: number }; result: Float32Array<ArrayBuffer>[] };
  closeSeparation: { params: Record<never, never>; result: null };
  hasModel: { params: { key: string }; result: boolean };
  loadModel: { params: { key: string; entry: string; bytes: ArrayBuffer }; result: null };
  loadNetwork: { params: { key: string; entry: string; files: Readonly<Record<string, ArrayBuffer>> }; result: null };
  /** One chunk, the network run here. */
  runChunk: { params: ChunkParams; result: ChunkStems };
  /** The network's input; the worker keeps the chunk, one at a time. */
  prepareChunk: { params: ChunkParams; result: NetworkTensor };
  /** Stems of the kept chunk, from the network's output, or by running the network here. A chunk whose output is refused stays. */
  completeChunk: { params: { output?: NetworkTensor }; result: ChunkStems };
  dropChunk: { params: Record<never, never>; result: null };
  probeModel: { params: { key: string }; result: NetworkProbe };
  openCatalog: { params: CatalogOpening; result: CatalogTurn };
  catalogCall: { params: CatalogCommand; result: CatalogTurn };
  catalogAnswer: { params: CatalogAnswer; result: CatalogTurn };
  closeCatalog: { params: Record<never, never>; result: null };
  hasTrack: { params: { id: string }; result: boolean };
  trackIds: { params: Record<never, never>; result: string[] };
  tracks: { params: Record<never, never>; result: TrackEntry[] };
  catalogStats: { params: Record<never, never>; result: Omit<CatalogStats, "storage"> };
  /** Makes this worker the one that drives the graphics processor, by the module at an address. */
  openGpu: { params: { module: string; allowSoftware: boolean }; result: GpuAdapter };
  loadGpuModel: { params: { key: string; bytes: ArrayBuffer }; result: null };
  /** Runs a network twice; `seconds` is the second run. */
  probeGpu: { params: { key: string; input: NetworkTensor; expected: Float32Array }; result: { snrDb: number; seconds: number } };
  runGpu: { params: { key: string; input: NetworkTensor }; result: NetworkTensor };
  testPanic: { params: { message: string }; result: null };
}

/** Name of a call. */
export type Method = keyof Calls;

/** Which wasm file a worker runs: `core`, or `neural`, the same with the network runtime. */
export type WorkerKind = "core" | "neural";

/** From the page: a call, or the wish that call `cancel` stop. */
export type ToWorker = { readonly id: number; readonly method: string; readonly params: unknown } | { readonly cancel: number };

/** From a worker. */
export type FromWorker =
  | { readonly kind: "progress"; readonly id: number; readonly phase: JobPhase; readonly done: number; readonly total: number | null }
  | { readonly kind: "result"; readonly id: number; readonly result: unknown; readonly memoryBytes: number }
  | { readonly kind: "error"; readonly id: number; readonly error: ErrorData }
  | { readonly kind: "cancelled"; readonly id: number }
  /** The instance is dead: of a panic, or (null) since it could not have the memory it needed. */
  | { readonly kind: "crashed"; readonly panic: string | null };

/** An {@link OtolithError} on its way. */
export interface ErrorData {
  readonly code: OtolithErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Reads a message from the page; undefined for anything else. */
export function readToWorker(data: unknown): ToWorker | undefined {
  if (!isRecord(data)) return undefined;
  if (isId(data.cancel)) return { cancel: data.cancel };
  if (isId(data.id) && typeof data.method === "string") return { id: data.id, method: data.method, params: data.params };
  return undefined;
}

/** Reads a message from a worker; undefined for anything else. */
export function readFromWorker(data: unknown): FromWorker | undefined {
  if (!isRecord(data)) return undefined;
  const { kind, id } = data;
  if (kind === "crashed" && (data.panic === null || typeof data.panic === "string")) return { kind, panic: data.panic };
  if (!isId(id)) return undefined;
  if (kind === "cancelled") return { kind, id };
  if (kind === "result" && typeof data.memoryBytes === "number") return { kind, id, result: data.result, memoryBytes: data.memoryBytes };
  if (kind === "error" && isErrorData(data.error)) return { kind, id, error: data.error };
  if (
    kind === "progress" &&
    typeof data.done === "number" &&
    isPhase(data.phase) &&
    (data.total === null || typeof data.total === "number")
  )
    return { kind, id, phase: data.phase, done: data.done, total: data.total };
  return undefined;
}

const PHASES: readonly JobPhase[] = ["download", "decode", "analyze", "verify", "load", "infer"];

function isPhase(value: unknown): value is JobPhase {
  return PHASES.some((phase) => phase === value);
}

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isErrorData(value: unknown): value is ErrorData {
  return isRecord(value) && typeof value.code === "string" && typeof value.message === "string" && isRecord(value.details);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
