import { type ActivityOptions, type ActivitySegment, activity } from "./activity.js";
import { type DecodedAudio, decode, type SoundOptions } from "./analysis.js";
import { type AudioBufferLike, type AudioInput, type AudioSamples, holdSamples } from "./audio-input.js";
import { Authorization, type Authorize, type UsageEntry } from "./authorization.js";
import { type BeatStream, type BeatStreamOptions, openBeatStream } from "./beat-stream.js";
import { type BeatOptions, type BeatTrack, beats, type ClickTrackOptions, clickTrack } from "./beats.js";
import { Catalog, type CatalogOptions, type CatalogSettings, isSameCatalog, openedOtherwise, readCatalogOptions } from "./catalog.js";
import {
  type CheckedLimits,
  type CheckedUrls,
  type EngineOptions,
  type Logger,
  readLimits,
  readLogger,
  readUrls,
} from "./engine-options.js";
import { type Environment, missingFrom } from "./environment.js";
import { disposedError, OtolithError } from "./errors.js";
import { CostBook, type Estimate, estimate, type SoundSize } from "./estimate.js";
import { type Fingerprint, type FingerprintOptions, fingerprint } from "./fingerprint.js";
import { GpuProvider } from "./gpu-provider.js";
import type { Job } from "./job.js";
import { Line } from "./line.js";
import { Models } from "./models.js";
import { OptionReader, show } from "./options.js";
import { packageVersion } from "./package-version.js";
import type { Platform } from "./platform.js";
import { Policy, readTier, type Tier } from "./policy.js";
import { JobQueue } from "./queue.js";
import type { SeparationJob } from "./separation-job.js";
import type { SeparationOptions } from "./separation-options.js";
import { type SeparationWorkshop, separate, separateEach } from "./separator.js";
import { WasmFiles } from "./wasm-files.js";
import { WorkerLink } from "./worker/link.js";
import { WorkerPool } from "./worker/pool.js";
import type { WavFormat, WorkerKind } from "./worker/protocol.js";

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
  const engine = new Engine({
    platform,
    models,
    wasm,
    workers,
    tier,
    policy,
    authorization,
    closed,
    limits,
    urls,
    warn: (message) => logger.warn(message),
  });
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
  readonly urls: CheckedUrls;
  readonly warn: (message: string) => void;
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
    const { platform, models, wasm, workers, tier, policy, authorization, limits, urls, warn } = parts;
    this.environment = platform.environment;
    this.workers = workers;
    this.queue = new JobQueue(limits.concurrentJobs);
    this.#parts = parts;
    this.#workshop = {
      platform,
      models,
      costs: new CostBook(),
      wasm,
      workers,
      tier,
      policy,
      authorization,
      queue: this.queue,
      // A separation's home worker idles while its chunks are inferred: it comes on top.
      core: new WorkerPool(workers + limits.concurrentJobs, () => this.#startWorker("core")),
      neural: new WorkerPool(workers, () => this.#startWorker("neural")),
      gpu: new GpuProvider({
        module: () => platform.gpuModule(urls.onnxruntime),
        start: (params) => WorkerLink.open(platform.startWorker(urls.worker), "openGpu", params),
      }),
      warn,
      analyses: new Line(workers),
      limits: limits.sound,
      inputBytes: limits.inputBytes,
      heldBytes: limits.heldBytes,
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

  /**
   * Says what a separation will take, before it runs: bytes, seconds and what has to be fetched. Nothing is fetched for it, and nobody is
   * asked to authorize it.
   *
   * Errors: `not-authorized` for what the tier does not include; `model-load` if there is no such model.
   */
  estimate(sound: SoundSize | AudioSamples | AudioBufferLike, options?: SeparationOptions): Promise<Estimate> {
    return estimate(this.#workshop, sound, options);
  }

  /** The last 1000 separations that were allowed, in order: one entry a job, made before it is queued and kept if it fails. */
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
   * Tells where a sound is music, speech or silence, in stretches of half a second or more that fill it.
   *
   * Errors: those of {@link Engine.decode}; `too-short` under 2.1 s.
   */
  activity(input: AudioInput, options?: ActivityOptions): Job<readonly ActivitySegment[]> {
    return this.#track(activity(this.#workshop, input, options));
  }

  /**
   * Makes the fingerprint of a sound. Silence gives an empty one.
   *
   * Errors: those of {@link Engine.decode}; `too-short` under 0.5 s (`panako` and `neural` 1 s); `invalid-input` for `mix: "mid-side"` of
   * anything but stereo; for algorithm `neural` `model-load`, `model-integrity` and `unsupported-environment`.
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
    this.#workshop.gpu.close(reason);
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
    const { platform, wasm, closed, urls } = this.#parts;
    const module = await wasm.module(kind);
    const { link, version } = await WorkerLink.start(platform.startWorker(urls.worker), kind, module);
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

function warnOfSecondCopy(logger: Logger): void {
  const scope = globalThis as { [COPY_KEY]?: { readonly version: string } };
  scope[COPY_KEY] ??= COPY;
  const first = scope[COPY_KEY];
  if (first === COPY) return;
  logger.warn(`two copies of otolith are loaded, ${first.version} and ${COPY.version}: each has its own workers and models`);
}
