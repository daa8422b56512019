import type { ModelEntry, Models } from "./models.js";
import { OptionReader, show } from "./options.js";
import type { Policy, Tier } from "./policy.js";
import { readSeparationOptions, type SeparationOptions, separationReader } from "./separation-options.js";
import type { WorkerPool } from "./worker/pool.js";

/** How large a sound is, for `engine.estimate`. */
export interface SoundSize {
  /** Seconds. */
  readonly duration: number;
  /** Hertz. */
  readonly sampleRate: number;
  /** Channels, 1..8. */
  readonly channels: number;
  /** Bytes of the encoded file; 0 (default) for samples in hand. */
  readonly bytes?: number;
}

/** What a separation will take. */
export interface Estimate {
  /** Chunks the sound is cut into. */
  readonly chunks: number;
  /** Most bytes at once: linear memory of all workers at work, what is held outside it, and the whole stems. */
  readonly bytes: number;
  /**
   * Of these: the worker that decodes and joins, what it holds outside linear memory (decoded sound, and the encoded file, which is not
   * held where it is a `Blob` on a page or a `file:` URL in Node), each of `workers` that run the network, and the stems (0 with
   * `collect: false`).
   */
  readonly memory: {
    readonly home: number;
    readonly held: number;
    readonly inference: number;
    readonly workers: number;
    readonly stems: number;
  };
  /** Seconds; null for a model of the caller's own that this engine has not run yet. */
  readonly seconds: number | null;
  /** Whether `seconds` comes from chunks this engine has run. If not, it is the model's known work at this device's measured speed: good to a factor of 2. */
  readonly measured: boolean;
  /** Bytes of the model that are still to be fetched. */
  readonly download: number;
}

/** What running a model has cost on this engine. */
interface Cost {
  readonly secondsPerSample: number;
  readonly memoryBytes: number;
  readonly chunkSize: number;
}

/** What estimates are made with. @internal */
export interface EstimateTools {
  readonly core: WorkerPool;
  readonly models: Models;
  readonly policy: Policy;
  readonly tier: Tier;
  readonly workers: number;
  readonly heldBytes: number;
  readonly costs: CostBook;
}

/** Remembers what chunks took, to estimate the next job by. @internal */
export class CostBook {
  readonly #costs = new Map<string, Cost>();
  #speed: Promise<number> | undefined;

  /** Enters what a job's chunks took on the processor. */
  enter(
    digest: string,
    chunk: { readonly seconds: readonly number[]; readonly samples: number; readonly memory: readonly number[] },
  ): void {
    const { seconds, samples, memory } = chunk;
    const typical = seconds.toSorted((a, b) => a - b)[Math.floor(seconds.length / 2)];
    if (typical === undefined) return;
    this.#costs.set(digest, { secondsPerSample: typical / samples, memoryBytes: Math.max(...memory), chunkSize: samples });
  }

  /** What was entered last of a model. */
  of(digest: string): Cost | undefined {
    return this.#costs.get(digest);
  }

  /** Bytes that a worker digests in a second, measured once: the device's speed. */
  speed(core: WorkerPool): Promise<number> {
    this.#speed ??= core.use(undefined, async (link) => {
      const bytes = new ArrayBuffer(SPEED_BYTES);
      await link.call("sha256", { bytes });
      const began = performance.now();
      await link.call("sha256", { bytes });
      return SPEED_BYTES / ((performance.now() - began) / 1000);
    });
    return this.#speed;
  }
}

const MIB = 1024 ** 2;
const SPEED_BYTES = 8 * MIB;
/**
 * Digested bytes that take as long as 10^9 multiplications and additions of a network: 15 to 40 MiB of separator-2, 16 to 39 of separator-5,
 * 18 to 53 of the lite one, with relaxed SIMD and without (`benches/estimate.mjs`, eleven runs on a machine with neighbours).
 */
const DIGESTED_PER_GMAC = 28 * MIB;
/** 10^9 multiplications and additions for a second of sound, counted in the exported graphs. */
const GMAC_PER_SECOND: Readonly<Record<string, number>> = { "separator-2-lite": 0.52, "separator-2": 1.32, "separator-5": 1.38 };

/** Linear memory of a core and of a neural worker before any sound. */
const HOME_BYTES = 4 * MIB;
const INFERENCE_BYTES = 24 * MIB;
/** Linear memory for a second of a chunk: spectra, masks and stems, and what the network holds between its layers. */
const BYTES_PER_CHUNK_SECOND = 4.5 * MIB;
/** Weights unpacked, and packed again for the kernels. */
const BYTES_PER_MODEL_BYTE = 12;

/** What a separation of `sound` will take. @internal */
export async function estimate(tools: EstimateTools, sound: unknown, options: SeparationOptions | undefined): Promise<Estimate> {
  const reader = separationReader(options);
  const { constraints, choice, collect, device, settings } = readSeparationOptions(reader, tools.tier);
  const size = readSize(sound);
  const { models, policy, costs, core } = tools;
  const wanted = choice.model === undefined ? { stems: policy.defaultStems(constraints), ...choice } : choice;
  if (wanted.stems !== undefined) policy.check(constraints, { stems: wanted.stems, device });
  const { stems } = models.find(wanted);
  policy.check(constraints, { stems, device });
  const model = await core.use(undefined, (link) => models.choose(wanted, link));
  const { entry } = model;
  const rate = entry.sample_rate;
  const frames = Math.max(1, Math.round(size.duration * rate));
  const grid = chunkGrid(frames, entry, settings);
  const workers = Math.min(tools.workers, grid.chunks);
  const known = costs.of(entry.sha256);

  const channels = Math.min(2, size.channels);
  const outputRate = settings.sampleRate === 44100 ? rate : size.sampleRate;
  const stemBytes = 4 * channels * Math.round(size.duration * outputRate);
  const memory = {
    home: homeBytes(size, { rate, outputRate, chunk: grid.samples, chunks: grid.chunks, workers, stems }),
    held: heldBytes(size, tools.heldBytes),
    inference: inferenceBytes(entry, grid.samples, known),
    workers,
    stems: collect ? stems * stemBytes : 0,
  };
  const perSample =
    known?.secondsPerSample ?? (await secondsPerSample(tools, entry, choice.model ?? models.find(wanted).name, model.custom));
  const rounds = Math.ceil(grid.chunks / workers);
  // What is too long to be held is decoded again.
  const hearings = size.bytes && memory.held >= size.bytes + tools.heldBytes ? 2 : 1;
  return {
    chunks: grid.chunks,
    bytes: memory.home + memory.held + workers * memory.inference + memory.stems,
    memory,
    seconds: perSample === null ? null : rounds * perSample * grid.samples + (size.duration * hearings) / HEARD_PER_SECOND,
    measured: known !== undefined,
    download: await models.missingBytes(model),
  };
}

/** Seconds of sound that are decoded and heard in a second (`benches/estimate.mjs`). */
const HEARD_PER_SECOND = 300;

async function secondsPerSample(
  { costs, core }: EstimateTools,
  { sample_rate }: ModelEntry,
  name: string,
  custom: boolean,
): Promise<number | null> {
  const work = custom ? undefined : GMAC_PER_SECOND[name];
  if (work === undefined) return null;
  return (work * DIGESTED_PER_GMAC) / (await costs.speed(core)) / sample_rate;
}

function inferenceBytes({ bytes, sample_rate }: ModelEntry, samples: number, known: Cost | undefined): number {
  if (known && known.chunkSize >= samples) return known.memoryBytes;
  return Math.round(INFERENCE_BYTES + BYTES_PER_MODEL_BYTE * bytes + (BYTES_PER_CHUNK_SECOND * samples) / sample_rate);
}

interface HomeWork {
  readonly rate: number;
  readonly outputRate: number;
  readonly chunk: number;
  readonly chunks: number;
  readonly workers: number;
  readonly stems: number;
}

/** The worker at home: a window over the sound, and one chunk on its way out or in. */
function homeBytes({ sampleRate, channels }: SoundSize, { rate, outputRate, chunk, chunks, workers, stems }: HomeWork): number {
  const perFrame = Float32Array.BYTES_PER_ELEMENT * Math.min(2, channels);
  const back = sampleRate === rate ? 0 : outputRate / rate;
  // Chunks that may be taken before the first of them is joined.
  const ahead = Math.min(chunks, workers + 2);
  const window = perFrame * (back > 0 ? chunk + ahead * chunk * back : Math.max(1, ahead) * chunk);
  const taken = 2 * Float32Array.BYTES_PER_ELEMENT * chunk;
  const joined = (stems - 1) * chunk * (2 * Float32Array.BYTES_PER_ELEMENT + perFrame * (1 + back)) + perFrame * chunk;
  const block = Float32Array.BYTES_PER_ELEMENT * channels * BLOCK_FRAMES * 3;
  return Math.round(HOME_BYTES + block + window + Math.max(taken, joined));
}

/** Frames that are decoded at once. */
const BLOCK_FRAMES = 1 << 16;

/** Outside linear memory: the encoded file, and the mix for the second hearing; samples in hand are heard where they are. */
function heldBytes({ duration, sampleRate, channels, bytes = 0 }: SoundSize, limit: number): number {
  const decoded = (count: number) => Math.round(Float32Array.BYTES_PER_ELEMENT * count * duration * sampleRate);
  return bytes > 0 ? bytes + Math.min(limit, decoded(Math.min(2, channels))) : decoded(channels);
}

/** As `ChunkGrid` in `src/separate/plan.rs` has it: what it gives is only counted here, and a test compares the two. */
function chunkGrid(frames: number, entry: ModelEntry, settings: { chunk?: number; overlap?: number }): { chunks: number; samples: number } {
  const { samples, frames: spectra, hop = 1024 } = entry.parameters ?? {};
  const fixed = samples ?? (spectra ? hop * (spectra - 1) : undefined);
  const chunk = fixed ?? Math.round((settings.chunk ?? 18) * entry.sample_rate);
  const most = fixed === undefined ? 1.75 : Math.min(1.75, chunk / 4 / entry.sample_rate);
  const overlap = Math.round((settings.overlap ?? most) * entry.sample_rate);
  if (frames <= chunk) return { chunks: 1, samples: Math.min(chunk, Math.ceil(frames / 65_536) * 65_536) };
  return { chunks: 1 + Math.ceil((frames - chunk) / (chunk - overlap)), samples: chunk };
}

function readSize(sound: unknown): SoundSize {
  if (typeof sound === "object" && sound !== null && "getChannelData" in sound) {
    const { duration, sampleRate, numberOfChannels } = sound as unknown as {
      duration: number;
      sampleRate: number;
      numberOfChannels: number;
    };
    return { duration, sampleRate, channels: numberOfChannels };
  }
  if (typeof sound === "object" && sound !== null && Array.isArray((sound as { channels?: unknown }).channels)) {
    const { channels, sampleRate } = sound as { channels: Float32Array[]; sampleRate: number };
    return { duration: (channels[0]?.length ?? 0) / sampleRate, sampleRate, channels: channels.length };
  }
  if (typeof sound !== "object" || sound === null || !("duration" in sound)) {
    const advice = "an encoded file tells neither without being decoded: engine.decode gives them";
    throw new TypeError(
      `sound must be { duration, sampleRate, channels }, { channels, sampleRate } or an AudioBuffer, got ${show(sound)}; ${advice}`,
    );
  }
  const reader = new OptionReader(sound, "sound", ["duration", "sampleRate", "channels", "bytes"]);
  const need = (name: string, range: { min: number; max: number; unit?: string; whole?: boolean }) => {
    const value = reader.number(name, range);
    if (value === undefined) throw reader.wrong(name, "given");
    return value;
  };
  return {
    duration: need("duration", { min: 0, max: 1e6, unit: "seconds" }),
    sampleRate: need("sampleRate", { min: 8000, max: 192_000, unit: "hertz" }),
    channels: need("channels", { min: 1, max: 8, whole: true }),
    bytes: reader.number("bytes", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0,
  };
}
