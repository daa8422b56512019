import type { BeatTrack } from "../beats.js";
import type { CatalogStats, Match } from "../catalog.js";
import type { FingerprintProfile } from "../fingerprint.js";
import type {
  ClickSettings,
  FingerprintSettings,
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
  Sound: { new (channels: Float32Array[], sampleRate: number, limits: SoundLimits): Sound };
  Decoder: { new (bytes: Uint8Array, hint: string, limits: SoundLimits): Stepper<Sound> };
  encodeWav(channels: Float32Array[], sampleRate: number, format: WavFormat): Uint8Array<ArrayBuffer>;
  sha256(bytes: Uint8Array): string;
  parseManifest(json: string, packageVersion: string): string;
  verifyModel(entry: string, role: string | undefined, bytes: Uint8Array): void;
  Separation: { new (sound: Sound, entry: string, options: SeparationSettings): Separation };
  BeatStepper: { new (sound: Sound, options: object): Stepper<BeatTrack> };
  clickTrack(sound: Sound, beats: Float64Array, downbeats: Float64Array, options: ClickSettings): Sound;
  Fingerprinter: { new (sound: Sound, options: FingerprintSettings): Stepper<Print> };
  inspect(bytes: Uint8Array, options: { hashes?: number; peaks?: number }): string;
  Print: { fromBytes(bytes: Uint8Array): Print };
  Catalog: {
    new (options: { algorithm?: string; profile?: string }): Catalog;
    import(bytes: Uint8Array): Catalog;
  };
}

/** What neural.wasm exports besides. */
export interface NeuralRooms extends CoreRooms {
  SeparatorModel: { new (entry: string, bytes: Uint8Array): SeparatorModel };
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

/** The home side of a separation. */
export interface Separation extends Freeable {
  step(): boolean;
  progress(): number;
  readonly chunkCount: number;
  readonly stemNames: string[];
  readonly sampleRate: number;
  readonly frames: number;
  readonly chunkSize: number;
  readonly overlapSize: number;
  chunk(index: number): { silent: boolean; gain: number; left: Float32Array<ArrayBuffer>; right: Float32Array<ArrayBuffer> };
  push(index: number, stems: Float32Array | undefined): Segment | undefined;
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

/** A fingerprint. */
export interface Print extends Freeable {
  bytes(): Uint8Array<ArrayBuffer>;
  readonly algorithm: string;
  readonly profile: FingerprintProfile;
  readonly duration: number;
  readonly hashCount: number;
  readonly warnings: string[];
}

/** A catalogue in linear memory. */
export interface Catalog extends Freeable {
  enrol(id: string, metadata: string, print: Print, replace: boolean): void;
  remove(id: string): boolean;
  has(id: string): boolean;
  ids(): string[];
  readonly profile: FingerprintProfile;
  match(print: Print, options: { top?: number; perTrack?: number; minConfidence?: number }): Match[];
  stats(): CatalogStats;
  export(): Uint8Array<ArrayBuffer>;
}
