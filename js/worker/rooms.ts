import type { ActivitySegment } from "../activity.js";
import type { BeatNotice } from "../beat-network.js";
import type { BeatEvent, OpenedBeatStream } from "../beat-stream.js";
import type { BeatSettings, BeatTrack } from "../beats.js";
import type { CatalogStats, TrackEntry } from "../catalog.js";
import type { FingerprintAlgorithm, FingerprintProfile } from "../fingerprint.js";
import type { StorageReply } from "../storage/adapter.js";
import type { EncodedFile } from "./encoded-file.js";
import type {
  CatalogOpening,
  CatalogTurn,
  ClickSettings,
  FingerprintSettings,
  MatchSettings,
  NetworkProbe,
  NetworkTensor,
  SeparationSettings,
  SoundLimits,
  WavFormat,
} from "./protocol.js";

/** What both wasm files export, as `src/wasm` writes it. Every object lives in linear memory until `free` or until a call takes it. */
export interface CoreRooms {
  version(): string;
  memoryBytes(): number;
  __test_panic(message: string): void;
  Sound: { new (channels: Float32Array[], sampleRate: number, limits: SoundLimits, first?: number): Sound };
  Decoder: { new (file: EncodedFile, hint: string, limits: SoundLimits, inBlocks: boolean): Decoder };
  encodeWav(channels: Float32Array[], sampleRate: number, format: WavFormat): Uint8Array<ArrayBuffer>;
  sha256(bytes: Uint8Array): string;
  parseManifest(json: string, packageVersion: string): string;
  verifyModel(entry: string, role: string | undefined, bytes: Uint8Array): void;
  scaleSamples(samples: Float32Array, gain: number): void;
  Separation: { new (shape: Sound, entry: string, options: SeparationSettings): Separation };
  BeatStepper: { new (sound: Sound, options: BeatSettings, notice?: BeatNotice): Stepper<BeatTrack> };
  BeatStream: { new (sampleRate: number, options: BeatSettings, notice?: BeatNotice): BeatStream };
  clickTrack(sound: Sound, beats: Float64Array, downbeats: Float64Array, options: ClickSettings): Sound;
  ActivityScan: { new (sound: Sound, options: { silence?: number }): Stepper<readonly ActivitySegment[]> };
  Fingerprinter: { new (sound: Sound, options: FingerprintSettings): Stepper<Print> };
  inspect(bytes: Uint8Array, options: { hashes?: number; peaks?: number }): string;
  Print: { fromBytes(bytes: Uint8Array): Print };
  Catalog: { new (options: CatalogOpening["options"] & { isStored: boolean }): Catalog };
}

/** What neural.wasm exports besides. */
export interface NeuralRooms extends CoreRooms {
  SeparatorModel: { new (entry: string, bytes: Uint8Array): SeparatorModel };
  BeatModel: { new (entry: string, front: Uint8Array, trunk: Uint8Array, tempo: Uint8Array): Freeable };
  CausalBeatModel: { new (entry: string, block: Uint8Array): Freeable };
  BeatStepper: CoreRooms["BeatStepper"] & { withNetwork(sound: Sound, options: BeatSettings, model: Freeable): Stepper<BeatTrack> };
  EmbedderModel: { new (entry: string, bytes: Uint8Array): Freeable };
  Fingerprinter: CoreRooms["Fingerprinter"] & { withNetwork(sound: Sound, options: FingerprintSettings, model: Freeable): Stepper<Print> };
  BeatStream: CoreRooms["BeatStream"] & { withNetwork(sampleRate: number, options: BeatSettings, model: Freeable): BeatStream };
  ChunkTask: { new (model: SeparatorModel, left: Float32Array, right: Float32Array, gain: number, conditioning: boolean): ChunkTask };
}

/** Something in linear memory. */
export interface Freeable {
  free(): void;
}

/** Work in steps of at most 50 ms: `step` while it returns true, then `finish`, which consumes it. */
export interface Stepper<T> extends Freeable {
  step(): boolean;
  progress(): number;
  finish(): T;
}

/** Decoded sound. Passing it on consumes it. */
export interface Sound extends Freeable {
  readonly sampleRate: number;
  readonly channelCount: number;
  readonly frames: number;
  readonly duration: number;
  readonly warnings: string[];
  channel(index: number): Float32Array<ArrayBuffer>;
}

/** Decodes a file whole, or block by block. */
export interface Decoder extends Stepper<Sound> {
  block(): Sound | undefined;
  readonly declaredFrames: number | undefined;
}

/** The home side of a separation. */
export interface Separation extends Freeable {
  /** Consumes the block; with `keep`, gives its mix. */
  measure(block: Sound, keep: boolean): Float32Array<ArrayBuffer>[];
  finishMeasuring(): void;
  readonly needsSound: boolean;
  /** Consumes the block. */
  feed(block: Sound): void;
  readonly inputRate: number;
  readonly chunkCount: number;
  readonly stemNames: string[];
  readonly sampleRate: number;
  readonly frames: number;
  readonly chunkSize: number;
  readonly overlapSize: number;
  chunk(index: number): { silent: boolean; gain: number; left: Float32Array<ArrayBuffer>; right: Float32Array<ArrayBuffer> };
  push(index: number, stems: Float32Array | undefined): Segment;
  peakGains(): Float32Array<ArrayBuffer>;
}

/** A finished stretch of all stems. */
export interface Segment extends Freeable {
  readonly index: number;
  readonly start: number;
  readonly frames: number;
  readonly channelCount: number;
  stem(stem: number, channel: number): Float32Array<ArrayBuffer>;
}

/** A loaded model. */
export interface SeparatorModel extends Freeable {
  readonly weightHash: string;
  probe(): NetworkProbe;
}

/** One chunk through the network: `run`, or `prepare` and `supply`, then `finish`, which consumes it. */
export interface ChunkTask extends Freeable {
  prepare(): NetworkTensor;
  run(onProgress: (fraction: number) => void): void;
  supply(shape: number[], values: Float32Array): void;
  finish(): Float32Array<ArrayBuffer>;
}

/** Beats of a sound while it is heard. */
export interface BeatStream extends Freeable, OpenedBeatStream {
  push(channels: readonly Float32Array[]): Omit<BeatEvent, "kind">[];
  flush(): Omit<BeatEvent, "kind">[];
  readonly replaced: number;
}

/** A fingerprint. */
export interface Print extends Freeable {
  bytes(): Uint8Array<ArrayBuffer>;
  readonly algorithm: string;
  readonly profile: FingerprintProfile;
  readonly duration: number;
  readonly hashCount: number;
  readonly warnings: string[];
}

/** A catalogue in linear memory. A call is begun, then stepped until it is done. */
export interface Catalog extends Freeable {
  enrol(id: string, metadata: string, print: Print, replace: boolean): void;
  enrolAudiofp(id: string, metadata: string, blob: Uint8Array, replace: boolean): void;
  remove(id: string): void;
  match(print: Print, options: MatchSettings): void;
  compact(): void;
  export(): void;
  import(): void;
  step(): CatalogTurn | { readonly kind: "working" };
  answer(replies: readonly StorageReply[]): void;
  fail(what: string, isFull: boolean): void;
  abandon(what: string): void;
  give(piece: Uint8Array | undefined): void;
  outcome(): unknown;
  readonly algorithm: FingerprintAlgorithm;
  readonly profile: FingerprintProfile;
  has(id: string): boolean;
  ids(): string[];
  tracks(): TrackEntry[];
  stats(): Omit<CatalogStats, "storage">;
}
