import { SOUND_OPTIONS, type SoundOptions } from "./analysis.js";
import { OptionReader } from "./options.js";
import { constrain, type ExecutionConstraints, type Tier } from "./policy.js";
import type { SeparationSettings } from "./worker/protocol.js";

/** Options of `engine.separate`. */
export interface SeparationOptions extends SoundOptions {
  /** How many stems: 2 (vocals, instrumental) or 5 (vocals, drums, bass, instruments, fx). Default: 2, on tiers pro and vip 5. */
  readonly stems?: 2 | 5;
  /** Name of the model, shipped or your own. Default: the package's best for `stems`. */
  readonly model?: string;
  /** Length of a chunk, 6..30 seconds. Default 18. */
  readonly chunk?: number;
  /** Overlap of two chunks, 0.5..4 seconds, at most half of `chunk`. Default 1.75. */
  readonly overlap?: number;
  /** Whether vocals lose what lies below 30 Hz and bass is mono below 120 Hz. Default true. */
  readonly conditioning?: boolean;
  /**
   * Whether each whole stem is brought to a peak of -1 dBFS, by at most +24 dB, unless it peaks below -60 dBFS: `peak`. The stems then no
   * longer sum to the mix; segments are never changed. Default `none`. Not with `collect: false`.
   */
  readonly normalize?: "none" | "peak";
  /** Rate of the stems: the input's own (default), or 44100 Hz. */
  readonly sampleRate?: "input" | 44100;
  /** Whether the result holds the whole stems. False keeps memory flat for who reads the segments. Default true. */
  readonly collect?: boolean;
  /**
   * What runs the network: `auto` (default: the graphics processor on tiers pro and vip where it passes, else the processor), `cpu`, or
   * `gpu` (rejects with `gpu-unavailable` where it does not pass).
   */
  readonly device?: Device;
  /** About the graphics processor. */
  readonly gpu?: GpuOptions;
  /** Tier of this job: the engine's (default) or one below. */
  readonly tier?: Tier;
  /** What the job uses, for the `authorize` hook: a small letter, then up to 63 of a-z, 0-9, `_`, `.`, `-`. Default "stem_split". */
  readonly capability?: string;
  /** How much of it, 0..1e9. Default 1. */
  readonly amount?: number;
  /** Whether the result has `metadata`. Default false. */
  readonly debug?: boolean;
}

/** What may be asked to run the network. */
export type Device = "auto" | "cpu" | "gpu";

/** Options of a job about the graphics processor. */
export interface GpuOptions {
  /** For tests: takes an adapter that is a program on the processor, which is otherwise refused. Default false. */
  readonly allowSoftwareAdapter?: boolean;
}

/** Options of a separation, checked. @internal */
export interface CheckedOptions {
  readonly constraints: ExecutionConstraints;
  readonly choice: { readonly stems?: number; readonly model?: string };
  readonly settings: SeparationSettings;
  readonly collect: boolean;
  readonly normalize: boolean;
  readonly device: Device;
  readonly allowSoftwareAdapter: boolean;
  readonly capability: string;
  readonly amount: number;
  readonly debug: boolean;
}

const NAMES = [
  ...["stems", "model", "chunk", "overlap", "conditioning", "normalize", "sampleRate", "collect"],
  ...["device", "gpu", "tier", "capability", "amount", "debug"],
] as const;

const CAPABILITY = /^[a-z][a-z0-9_.-]{0,63}$/;

/** A reader of the options of `engine.separate`, which reads each of them once. @internal */
export function separationReader(options: unknown): OptionReader {
  return new OptionReader(options, "options", [...SOUND_OPTIONS, ...NAMES]);
}

/** Checks the options of a separation on an engine of `tier`. @internal */
export function readSeparationOptions(reader: OptionReader, tier: Tier): CheckedOptions {
  const constraints = constrain(tier, reader);
  const stems = reader.oneOf("stems", [2, 5] as const);
  const model = reader.string("model");
  const chunk = reader.number("chunk", { min: 6, max: 30, unit: "seconds" });
  const overlap = reader.number("overlap", { min: 0.5, max: 4, unit: "seconds" });
  if ((overlap ?? 1.75) > (chunk ?? 18) / 2)
    throw new TypeError(
      `${reader.path("overlap")} must be at most half of ${reader.path("chunk")}, got ${overlap ?? 1.75} and ${chunk ?? 18} seconds`,
    );
  const conditioning = reader.boolean("conditioning");
  const sampleRate = reader.oneOf("sampleRate", ["input", 44100] as const);
  const capability = reader.string("capability") ?? "stem_split";
  if (!CAPABILITY.test(capability))
    throw reader.wrong("capability", "a small letter, then at most 63 small letters, digits, underscores, dots or hyphens");
  const collect = reader.boolean("collect") ?? true;
  const normalize = reader.oneOf("normalize", ["none", "peak"] as const) === "peak";
  if (normalize && !collect)
    throw new TypeError(`${reader.path("normalize")} needs whole stems: leave it out, or ${reader.path("collect")}: false`);
  const gpu = new OptionReader(reader.any("gpu"), reader.path("gpu"), ["allowSoftwareAdapter"]);
  return {
    constraints,
    choice: { ...(stems !== undefined && { stems }), ...(model !== undefined && { model }) },
    settings: {
      ...(chunk !== undefined && { chunk }),
      ...(overlap !== undefined && { overlap }),
      ...(conditioning !== undefined && { conditioning }),
      ...(sampleRate !== undefined && { sampleRate }),
    },
    collect,
    normalize,
    device: reader.oneOf("device", ["auto", "cpu", "gpu"] as const) ?? "auto",
    allowSoftwareAdapter: gpu.boolean("allowSoftwareAdapter") ?? false,
    capability,
    amount: reader.number("amount", { min: 0, max: 1e9 }) ?? 1,
    debug: reader.boolean("debug") ?? false,
  };
}
