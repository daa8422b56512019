import { type DecodedAudio, decode, type SoundOptions } from "./analysis.js";
import { type AudioInput, type AudioSamples, holdSamples } from "./audio-input.js";
import { Authorization, type Authorize, type UsageEntry } from "./authorization.js";
import { type BeatStream, type BeatStreamOptions, openBeatStream } from "./beat-stream.js";
import { type BeatOptions, type BeatTrack, beats, type ClickTrackOptions, clickTrack } from "./beats.js";
import { Catalog, type CatalogOptions, type CatalogSettings, isSameCatalog, openedOtherwise, readCatalogOptions } from "./catalog.js";
import { type Environment, missingFrom } from "./environment.js";
import { disposedError, OtolithError } from "./errors.js";
import { type Fingerprint, type FingerprintOptions, fingerprint } from "./fingerprint.js";
import type { Job } from "./job.js";
import { Line } from "./line.js";
import { Models, type ModelsOption } from "./models.js";
import { OptionReader, show } from "./options.js";
import { packageVersion } from "./package-version.js";
import type { Platform, ScriptUrl } from "./platform.js";
import { Policy, type PolicyOption, readTier, type Tier } from "./policy.js";
import { JobQueue } from "./queue.js";
import type { SeparationJob } from "./separation-job.js";
import type { SeparationOptions } from "./separation-options.js";
import { type SeparationWorkshop, separate, separateEach } from "./separator.js";
import { WasmFiles, type WasmSource } from "./wasm-files.js";
import { WorkerLink } from "./worker/link.js";
import { WorkerPool } from "./worker/pool.js";
import type { SoundLimits, WavFormat, WorkerKind } from "./worker/protocol.js";

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
}

/** Limits, each checked before memory is taken; beyond it a call rejects with `limit`. */
export interface EngineLimits {
  /** Longest sound, in seconds. Default 14 400. */
  readonly durationSeconds?: number;
  /** Largest encoded file, in bytes. Default 1 GiB. */
  readonly inputBytes?: number;
  /** Largest decoded sound, in bytes of planar 32-bit samples. Default 1 GiB: 50 min of stereo at 44.1 kHz. */
  readonly decodedBytes?: number;
  /** Packets that a decoder may read per byte of the file, plus 1000. Default 1. */
  readonly packetsPerByte?: number;
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

/** What this copy of the package leaves on the global object, for another copy to find. */
const COPY = { version: packageVersion };
const COPY_KEY = Symbol.for("otolith");

/** Starts an engine: checks the environment, compiles core.wasm and starts the first worker. @internal */
export async function startEngine(options: EngineOptions | undefined, platform: Platform): Promise<Engine> {
  const reader = new OptionReader(options, "options", ["workers", "tier", "policy", "authorize", "models", "urls", "limits", "logger"]);
  const logger = readLogger(reader);
  const { environment } = platform;
  const workers =
    reader.number("workers", { min: 1, max: 64, whole: true }) ?? Math.min(4, Math.max(1, environment.hardwareConcurrency - 1));
  const urls = readUrls(reader);
  const limits = readLimits(reader);
  const tier = readTier(reader);
  const policy = new Policy(reader.any("policy"));
  const authorization = new Authorization(reader.function<Authorize>("authorize"), limits.authorizeMs);
  const models = new Models(
    reader.any("models"),
    platform,
    platform.openModelCache((message) => logger.warn(message)),
  );
  const missing = missingFrom(environment);
  if (missing.length > 0)
    throw new OtolithError("unsupported-environment", `otolith needs ${missing.join(" and ")}, which is missing here`, {
      details: { missing },
    });
  warnOfSecondCopy(logger);
  const closed = new AbortController();
  const wasm = new WasmFiles(platform, urls.wasm, closed.signal);
  const engine = new Engine({ platform, models, wasm, workers, tier, policy, authorization, closed, limits, workerUrl: urls.worker });
  try {
    await engine.warmUp();
  } catch (thrown) {
    await engine.dispose();
    throw thrown;
  }
  return engine;
}

interface EngineParts {
  readonly platform: Platform;
  readonly models: Models;
  readonly wasm: WasmFiles;
  readonly workers: number;
  readonly tier: Tier;
  readonly policy: Policy;
  readonly authorization: Authorization;
  readonly closed: AbortController;
  readonly limits: CheckedLimits;
  readonly workerUrl: ScriptUrl | undefined;
}

/** Music listening in workers. Made by `createEngine`; `dispose` it when it is no longer needed. */
export class Engine {
  /** What the page or runtime offers. */
  readonly environment: Environment;
  /** Workers that compute at once. */
  readonly workers: number;
  /** The separations that wait and run. */
  readonly queue: JobQueue;
  readonly #parts: EngineParts;
  readonly #workshop: SeparationWorkshop;
  readonly #jobs = new Set<Job<unknown>>();
  readonly #streams = new Set<BeatStream>();
  readonly #catalogs = new Map<string, { readonly settings: CatalogSettings; readonly catalog: Promise<Catalog> }>();
  /** Closed catalogues that may not have let go of their files yet. */
  readonly #closingCatalogs = new Map<string, Promise<void>>();

  /** @internal */
  constructor(parts: EngineParts) {
    const { platform, models, wasm, workers, tier, policy, authorization, limits } = parts;
    this.environment = platform.environment;
    this.workers = workers;
    this.queue = new JobQueue(limits.concurrentJobs);
    this.#parts = parts;
    this.#workshop = {
      platform,
      models,
      wasm,
      workers,
      tier,
      policy,
      authorization,
      queue: this.queue,
      // A separation's home worker idles while its chunks are inferred: it comes on top.
      core: new WorkerPool(workers + limits.concurrentJobs, () => this.#startWorker("core")),
      neural: new WorkerPool(workers, () => this.#startWorker("neural")),
      analyses: new Line(workers),
      limits: limits.sound,
      inputBytes: limits.sound.inputBytes ?? GIB,
      resultBytes: limits.resultBytes,
    };
  }

  /** What the user has paid for. It cannot be changed: make another engine. */
  get tier(): Tier {
    return this.#parts.tier;
  }

  /**
   * Separates a sound into stems that sum to it. First the tier is looked at, then the `authorize` hook is asked, then the job waits for
   * its turn; only then is anything fetched, decoded or computed.
   *
   * Errors: those of {@link Engine.decode}; `not-authorized`; `gpu-unavailable`; `model-load`, `model-integrity`; `limit` for stems beyond
   * `limits.resultBytes`; `unsupported-environment` if neural.wasm cannot be had.
   */
  separate(input: AudioInput, options?: SeparationOptions): SeparationJob {
    return this.#track(separate(this.#workshop, input, options));
  }

  /**
   * Separates several sounds, a job and an authorization each. All are submitted at once and given back in order; failures stay alone.
   * Leaving the loop early cancels the rest.
   */
  separateAll(inputs: Iterable<AudioInput>, options?: SeparationOptions): AsyncGenerator<BatchItem, void, undefined> {
    return inOrder(separateEach(this.#workshop, inputs, options).map((job) => this.#track(job)));
  }

  /** Every separation that was allowed, in order: one entry a job, made before it is queued and kept if it fails. */
  usage(): readonly UsageEntry[] {
    return this.#parts.authorization.usage;
  }

  /**
   * Finds beats, tempo and bars.
   *
   * Errors: those of {@link Engine.decode}; `too-short` under 1 s; for method `tcn` `model-load`, `model-integrity` and
   * `unsupported-environment`, where `auto` goes to flux and says why.
   */
  beats(input: AudioInput, options?: BeatOptions): Job<BeatTrack> {
    return this.#track(beats(this.#workshop, input, options));
  }

  /**
   * Follows the beats of a sound while it is heard: push its samples as they come, each push gives the beats that it completes.
   *
   * Errors: a rejected `TypeError` for a wrong option; for method `tcn` those of a model that cannot be had.
   */
  async beatStream(options: BeatStreamOptions): Promise<BeatStream> {
    const { signal } = this.#parts.closed;
    signal.throwIfAborted();
    const opening = openBeatStream(
      this.#workshop,
      options,
      signal,
      (kind) => this.#startWorker(kind),
      (stream) => this.#streams.delete(stream),
    );
    const stream = await opening;
    if (signal.aborted) stream.close();
    else this.#streams.add(stream);
    signal.throwIfAborted();
    return stream;
  }

  /**
   * Makes beats audible: clicks of 1 kHz, 1.5 kHz on downbeats, over the sound they were found in.
   *
   * Errors: those of {@link Engine.decode}; `invalid-input` for times that do not rise or are not finite.
   */
  clickTrack(input: AudioInput, track: Pick<BeatTrack, "beats" | "downbeats">, options?: ClickTrackOptions): Job<DecodedAudio> {
    return this.#track(clickTrack(this.#workshop, input, track, options));
  }

  /**
   * Makes the fingerprint of a sound. Silence gives an empty one.
   *
   * Errors: those of {@link Engine.decode}; `too-short` under 0.5 s; `invalid-input` for `mix: "mid-side"` of anything but stereo.
   */
  fingerprint(input: AudioInput, options?: FingerprintOptions): Job<Fingerprint> {
    return this.#track(fingerprint(this.#workshop, input, options));
  }

  /**
   * Opens a catalogue of fingerprints: what is stored under its name, or an empty one. A name that is open gives the same catalogue.
   *
   * Errors: `storage` if it is open in another tab or process, or damaged; `invalid-input` if what is stored is of another algorithm,
   * profile or version, or if the name is open with other options; `unsupported-environment` for a storage that is missing here.
   */
  async openCatalog(options?: CatalogOptions): Promise<Catalog> {
    const settings = readCatalogOptions(options);
    const { name } = settings;
    const open = this.#catalogs.get(name);
    if (open && !isSameCatalog(open.settings, settings)) throw openedOtherwise(name);
    if (open) return open.catalog;
    const forget = () => {
      if (this.#catalogs.get(name)?.catalog === catalog) this.#catalogs.delete(name);
    };
    const catalog = this.#openCatalog(settings, forget);
    this.#catalogs.set(name, { settings, catalog });
    catalog.catch(forget);
    return catalog;
  }

  /**
   * Decodes a sound to planar samples, as every other call does first.
   *
   * Errors: `invalid-input` for NaN, infinite or no samples, more than 8 channels, a rate outside 8 000..192 000 Hz or a file that cannot
   * be fetched; `unsupported-format`; `limit`; `out-of-memory`; `crashed`.
   */
  decode(input: AudioInput, options?: SoundOptions): Job<DecodedAudio> {
    return this.#track(decode(this.#workshop, input, options));
  }

  /**
   * A WAV file of planar samples: 16 or 24 bit, rounded and clipped at full scale, or 32-bit float.
   *
   * Errors: `invalid-input` for NaN or infinite samples; `limit` beyond what a WAV file holds, 4 GiB.
   */
  async encodeWav(audio: AudioSamples, options?: { readonly format?: WavFormat }): Promise<Uint8Array<ArrayBuffer>> {
    const reader = new OptionReader(options, "options", ["format"]);
    const format = reader.oneOf("format", ["wav16", "wav24", "wav32f"] as const) ?? "wav16";
    const { channels, sampleRate } = holdSamples(audio, false);
    const transfer = channels.map(({ buffer }) => buffer);
    return this.#workshop.core.use(undefined, (link) => link.call("encodeWav", { channels, sampleRate, format }, { transfer }));
  }

  /**
   * What is inside a fingerprint or catalogue file, as plain data: for people and programs that look, not a stable format.
   *
   * Errors: `invalid-input` for bytes that are neither, damaged, or of a version that is not read here.
   */
  async inspect(bytes: ArrayBuffer | Uint8Array, options?: InspectOptions): Promise<Readonly<Record<string, unknown>>> {
    const reader = new OptionReader(options, "options", ["hashes", "peaks"]);
    const count = { min: 0, max: 1e6, whole: true };
    const hashes = reader.number("hashes", count);
    const peaks = reader.number("peaks", count);
    if (!(bytes instanceof ArrayBuffer || bytes instanceof Uint8Array))
      throw new TypeError(`bytes must be an ArrayBuffer or Uint8Array, got ${show(bytes)}`);
    const asked = { ...(hashes !== undefined && { hashes }), ...(peaks !== undefined && { peaks }) };
    return this.#workshop.core.use(undefined, (link) => link.call("inspect", { bytes: new Uint8Array(bytes), options: asked }));
  }

  /** Ends everything: jobs reject with `disposed`, workers are terminated, catalogues are gone. Twice is as good as once. */
  async dispose(): Promise<void> {
    const reason = disposedError("the engine");
    this.#parts.closed.abort(reason);
    for (const job of this.#jobs) job.cancel(reason);
    this.#workshop.core.close(reason);
    this.#workshop.neural.close(reason);
    for (const stream of this.#streams) stream.close();
    const catalogs = [...this.#catalogs.values()].map(({ catalog }) => catalog);
    for (const opened of await Promise.allSettled(catalogs)) if (opened.status === "fulfilled") void opened.value.close();
    await Promise.all(this.#closingCatalogs.values());
    await Promise.all(Array.from(this.#jobs, (job) => job.settled));
  }

  /** As {@link Engine.dispose}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Starts the first worker, so that what is wrong with files or addresses shows at once. @internal */
  async warmUp(): Promise<void> {
    await this.#workshop.core.use(undefined, async () => {});
  }

  /** Makes a worker of the pool panic, as a fault in Rust would. For tests. @internal */
  async crash(message: string): Promise<void> {
    await this.#workshop.core.use(undefined, (link) => link.call("testPanic", { message }));
  }

  async #openCatalog(settings: CatalogSettings, forget: () => void): Promise<Catalog> {
    await this.#closingCatalogs.get(settings.name);
    const link = await this.#startWorker("core");
    const closing = (closed: Promise<void>) => {
      forget();
      this.#closingCatalogs.set(settings.name, closed);
    };
    return Catalog.open(settings, { workshop: this.#workshop, link, closing, track: (job) => this.#track(job) });
  }

  async #startWorker(kind: WorkerKind): Promise<WorkerLink> {
    const { platform, wasm, closed, workerUrl } = this.#parts;
    const module = await wasm.module(kind);
    const { link, version } = await WorkerLink.start(platform.startWorker(workerUrl), kind, module);
    if (version === packageVersion && !closed.signal.aborted) return link;
    const message = `${kind}.wasm is of version ${version}, the script of ${packageVersion}: serve the files of one version`;
    const reason: unknown = closed.signal.aborted ? closed.signal.reason : new OtolithError("unsupported-environment", message);
    link.close(reason);
    throw reason;
  }

  #track<J extends Job<unknown>>(job: J): J {
    const { signal } = this.#parts.closed;
    if (signal.aborted) job.cancel(signal.reason);
    this.#jobs.add(job);
    job.settled.then(() => this.#jobs.delete(job));
    return job;
  }
}

async function* inOrder(jobs: readonly SeparationJob[]): AsyncGenerator<BatchItem, void, undefined> {
  try {
    for (const [index, job] of jobs.entries()) {
      const outcome = await job.then(
        (result) => ({ result }),
        (error: unknown) => ({ error }),
      );
      yield { index, job, ...outcome };
    }
  } finally {
    for (const job of jobs) job.cancel();
  }
}

/** One sound of `separateAll`: its result or its error. */
export interface BatchItem {
  /** Place among the inputs, from 0. */
  readonly index: number;
  /** The job. */
  readonly job: SeparationJob;
  /** What it gave. */
  readonly result?: Awaited<SeparationJob>;
  /** Why it gave nothing. */
  readonly error?: unknown;
}

/** Options of `engine.inspect`. */
export interface InspectOptions {
  /** Hashes to list, at most. Default 0. */
  readonly hashes?: number;
  /** Peaks to list, at most. Default 0. */
  readonly peaks?: number;
}

interface CheckedLimits {
  readonly sound: SoundLimits;
  readonly resultBytes: number;
  readonly concurrentJobs: number;
  readonly authorizeMs: number;
}

function readLimits(reader: OptionReader): CheckedLimits {
  const limits = new OptionReader(reader.any("limits"), "options.limits", [
    ...SOUND_LIMITS,
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
    resultBytes: limits.number("resultBytes", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 2 * GIB,
    concurrentJobs: limits.number("concurrentJobs", { min: 1, max: 16, whole: true }) ?? 1,
    authorizeMs: limits.number("authorizeMs", { min: 1, max: 600_000 }) ?? 30_000,
  };
}

function readUrls(reader: OptionReader): { worker: ScriptUrl | undefined; wasm: Partial<Record<WorkerKind, WasmSource>> } {
  const urls = new OptionReader(reader.any("urls"), "options.urls", ["worker", "core", "neural"]);
  const wasm: Partial<Record<WorkerKind, WasmSource>> = {};
  for (const kind of ["core", "neural"] as const) {
    const source = urls.any(kind);
    if (source === undefined) continue;
    if (!isWasmSource(source)) throw urls.wrong(kind, "a string, URL, Response, ArrayBuffer or WebAssembly.Module");
    wasm[kind] = source;
  }
  return { worker: urls.any("worker") as ScriptUrl | undefined, wasm };
}

function isWasmSource(value: unknown): value is WasmSource {
  if (typeof value === "string" || value instanceof URL || value instanceof ArrayBuffer) return true;
  return value instanceof Response || value instanceof WebAssembly.Module;
}

function readLogger(reader: OptionReader): Logger {
  const logger = reader.any("logger");
  if (logger === undefined) return console;
  if (typeof (logger as Partial<Logger> | null)?.warn !== "function") throw reader.wrong("logger", "an object with a function warn");
  return logger as Logger;
}

function warnOfSecondCopy(logger: Logger): void {
  const scope = globalThis as { [COPY_KEY]?: { readonly version: string } };
  scope[COPY_KEY] ??= COPY;
  const first = scope[COPY_KEY];
  if (first === COPY) return;
  logger.warn(`two copies of otolith are loaded, ${first.version} and ${COPY.version}: each has its own workers and models`);
}
