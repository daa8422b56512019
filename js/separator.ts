import { abortable } from "./abortable.js";
import { callOptions, openSound, type Workshop } from "./analysis.js";
import { type AudioInput, bytesOf, type HeldInput, holdInput, nameOf } from "./audio-input.js";
import type { Authorization } from "./authorization.js";
import { DeviceChoice } from "./device-choice.js";
import { OtolithError } from "./errors.js";
import type { CostBook } from "./estimate.js";
import type { GpuProvider } from "./gpu-provider.js";
import { inferChunks } from "./inference.js";
import { type JobContext, type JobOptions, readJobOptions } from "./job.js";
import type { ChosenModel, Models } from "./models.js";
import { Pieces } from "./pieces.js";
import type { ExecutionConstraints, Policy, Tier } from "./policy.js";
import type { JobQueue } from "./queue.js";
import { type Segment, SeparationJob, type SeparationMetadata, type SeparationResult, type StemAudio } from "./separation-job.js";
import { type CheckedOptions, readSeparationOptions, type SeparationOptions, separationReader } from "./separation-options.js";
import type { WasmFiles } from "./wasm-files.js";
import type { WorkerLink } from "./worker/link.js";
import type { WorkerPool } from "./worker/pool.js";
import type { SegmentData, SeparationPlan } from "./worker/protocol.js";

/** What separations work with. @internal */
export interface SeparationWorkshop extends Workshop {
  /** Workers that run neural.wasm. */
  readonly neural: WorkerPool;
  readonly gpu: GpuProvider;
  /** Takes warnings. */
  readonly warn: (message: string) => void;
  readonly workers: number;
  /** Tier of the engine. */
  readonly tier: Tier;
  readonly policy: Policy;
  readonly authorization: Authorization;
  /** The separations that wait and run. */
  readonly queue: JobQueue;
  readonly models: Models;
  /** What models have cost so far. */
  readonly costs: CostBook;
  readonly wasm: WasmFiles;
  /** Most bytes of decoded sound that are kept for the second hearing. */
  readonly heldBytes: number;
  /** Most bytes of a whole result. */
  readonly resultBytes: number;
}

/** A sound that was taken over, or why it could not be. */
type Intake = { readonly held: HeldInput } | { readonly failure: unknown };

/** @internal */
export function separate(workshop: SeparationWorkshop, input: AudioInput, options: SeparationOptions | undefined): SeparationJob {
  const reader = separationReader(options);
  const checked = readSeparationOptions(reader, workshop.tier);
  const jobOptions = readJobOptions(reader);
  return submit(workshop, checked, jobOptions, { held: holdInput(input, reader) });
}

/** A job for each input; one whose input is wrong fails by itself. @internal */
export function separateEach(
  workshop: SeparationWorkshop,
  inputs: Iterable<AudioInput>,
  options: SeparationOptions | undefined,
): SeparationJob[] {
  const reader = separationReader(options);
  const checked = readSeparationOptions(reader, workshop.tier);
  const jobOptions = readJobOptions(reader);
  const take = (input: AudioInput): Intake => {
    try {
      return { held: holdInput(input, reader) };
    } catch (failure) {
      return { failure };
    }
  };
  return Array.from(inputs, (input) => submit(workshop, checked, jobOptions, take(input)));
}

/** Makes the job: policy, then the `authorize` hook, then the queue, and only then the work. */
function submit(workshop: SeparationWorkshop, options: CheckedOptions, jobOptions: JobOptions, intake: Intake): SeparationJob {
  const { policy, authorization, queue, models } = workshop;
  const { constraints, capability, amount, device } = options;
  const { tier } = constraints;
  const id = newId();
  const pieces = new Pieces<Segment>(workshop.workers + 1, options.collect);
  const work = async (job: JobContext) => {
    if ("failure" in intake) throw intake.failure;
    const { held } = intake;
    const choice = options.choice.model === undefined ? { stems: policy.defaultStems(constraints), ...options.choice } : options.choice;
    if (choice.stems !== undefined) policy.check(constraints, { stems: choice.stems, device });
    const { stems } = models.find(choice);
    policy.check(constraints, { stems, device });
    const input = Object.freeze({ name: nameOf(held), bytes: held.kind === "url" ? null : bytesOf(held) });
    await authorization.ask({ jobId: id, tier, capability, amount, stems, input }, job.signal);
    return queue.run(id, () => new Separation(workshop, { ...options, choice }, pieces, job).run(held), job.signal);
  };
  const job = new SeparationJob(id, work, jobOptions, pieces);
  const bytes = "held" in intake ? waitingBytes(intake.held) : 0;
  const cancel = (reason: unknown) => job.cancel(reason);
  queue.enter({ id, tier, priority: policy.priority(constraints), capability, submittedAt: Date.now(), bytes, cancel });
  job.settled.then(() => queue.leave(id));
  return job;
}

/** Bytes of memory that a waiting sound takes. */
function waitingBytes(held: HeldInput): number {
  if (held.kind === "url" || (held.kind === "file" && !(held.bytes instanceof ArrayBuffer))) return 0;
  return bytesOf(held);
}

/** Random, since what a hook enters in its books must not come twice; `randomUUID` is missing on plain http. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One separation: a home worker decodes, cuts and joins; inference workers run the network. */
class Separation {
  readonly #workshop: SeparationWorkshop;
  readonly #options: CheckedOptions;
  readonly #pieces: Pieces<Segment>;
  readonly #job: JobContext;
  readonly #segments: { index: number; start: number; frames: number }[] = [];
  readonly #stems = new Map<string, StemAudio>();

  constructor(workshop: SeparationWorkshop, options: CheckedOptions, pieces: Pieces<Segment>, job: JobContext) {
    this.#workshop = workshop;
    this.#options = options;
    this.#pieces = pieces;
    this.#job = job;
  }

  async run(held: HeldInput): Promise<SeparationResult> {
    this.#job.started();
    const startedAt = performance.now();
    return this.#workshop.core.use(this.#job.signal, async (home) => {
      try {
        return await this.#separate(held, home, startedAt);
      } finally {
        if (!home.dead) await home.call("closeSeparation", {});
      }
    });
  }

  async #separate(held: HeldInput, home: WorkerLink, startedAt: number): Promise<SeparationResult> {
    const { policy, models, costs, wasm, neural, workers, heldBytes } = this.#workshop;
    const model = await models.choose(this.#options.choice, home);
    const sound = await openSound(this.#workshop, held, this.#job);
    // The sound first: a file that cannot be read should cost no download.
    const params = { ...sound, entry: JSON.stringify(model.entry), options: this.#options.settings, heldBytes };
    const plan = await home.call("openSeparation", params, callOptions(this.#job, sound));
    // What the model gives in the end counts, whatever its manifest said before.
    policy.check(this.#options.constraints, { stems: plan.stemNames.length, device: this.#options.device });
    if (this.#options.collect) this.#reserve(plan);
    const bytes = await models.fetch(model, home, this.#job);
    this.#job.report("load", 0, 1);
    // Cancelling ends the wait and not the fetch, which another job may share.
    await abortable(
      wasm.module("neural", (done, total) => this.#job.report("download", done, total)),
      this.#job.signal,
    );
    this.#job.report("load", 1, 1);
    const device = new DeviceChoice(this.#workshop, this.#options);
    const network = await device.open(model, bytes, this.#job.signal);
    const { memory, silentChunks, chunks, cpuSeconds } = await inferChunks(
      {
        home,
        pool: neural,
        workers,
        model,
        bytes,
        chunkCount: plan.chunkCount,
        conditioning: this.#options.settings.conditioning ?? true,
        gpu: network,
        onGpuLost: (reason) => device.lose(reason),
        pieces: this.#pieces,
        onSegment: (segment, ranOn) => this.#take(segment, ranOn, plan),
      },
      this.#job,
    );
    costs.enter(model.entry.sha256, { seconds: cpuSeconds, samples: samplesOf(plan, model), memory });
    const normalization = this.#options.normalize ? await this.#normalize(home) : undefined;
    return {
      stems: Object.fromEntries(this.#stems),
      sampleRate: plan.sampleRate,
      frames: plan.frames,
      duration: plan.frames / plan.sampleRate,
      segments: this.#segments,
      chunks: plan.chunkCount,
      silentChunks,
      workers: Math.min(workers, plan.chunkCount),
      seconds: (performance.now() - startedAt) / 1000,
      peakMemory: { home: home.memoryBytes, held: plan.heldBytes, inference: memory },
      device: device.report(chunks),
      model: { name: model.entry.name, version: model.entry.model_version },
      warnings: plan.warnings,
      ...(normalization && { normalization }),
      ...(this.#options.debug && { metadata: { ...metadataOf(model, this.#options.constraints, plan), ...device.metadata(chunks) } }),
    };
  }

  /** Takes the memory of the whole result, or says why not. */
  #reserve({ stemNames, channelCount, frames, sampleRate }: SeparationPlan): void {
    const { resultBytes } = this.#workshop;
    // Mono stays mono; everything else becomes stereo.
    const channels = Math.min(2, channelCount);
    const bytes = stemNames.length * channels * frames * Float32Array.BYTES_PER_ELEMENT;
    const advice = "read the segments with collect: false, or give a shorter sound";
    if (bytes > resultBytes) {
      const message = `the stems take ${bytes} bytes, the limit is ${resultBytes}: ${advice}, or raise limits.resultBytes`;
      throw new OtolithError("limit", message, { details: { limit: "resultBytes", given: bytes, allowed: resultBytes } });
    }
    try {
      for (const name of stemNames)
        this.#stems.set(name, { channels: Array.from({ length: channels }, () => new Float32Array(frames)), sampleRate });
    } catch (cause) {
      throw new OtolithError("out-of-memory", `could not reserve ${bytes} bytes for the stems: ${advice}`, { details: { bytes }, cause });
    }
  }

  /** Brings the whole stems to their normal peak; gives the decibels. */
  async #normalize(home: WorkerLink): Promise<Record<string, number>> {
    const { signal } = this.#job;
    const factors = await home.call("peakGains", {}, { signal });
    const decibels: Record<string, number> = {};
    for (const [place, [name, stem]] of [...this.#stems].entries()) {
      const gain = factors[place] ?? 1;
      decibels[name] = 20 * Math.log10(gain);
      if (gain === 1) continue;
      const transfer = stem.channels.map(({ buffer }) => buffer);
      const channels = await home.call("scaleSamples", { channels: stem.channels, gain }, { signal, transfer });
      this.#stems.set(name, { ...stem, channels });
    }
    return decibels;
  }

  #take({ index, start, frames, stems }: SegmentData, device: Segment["device"], { stemNames, sampleRate }: SeparationPlan): void {
    const position = this.#segments.reduce((sum, segment) => sum + segment.frames, 0);
    this.#segments.push({ index, start, frames });
    const named = stemNames.map((name, stem) => [name, { channels: stems[stem] ?? [], sampleRate }] as const);
    for (const [name, { channels }] of named)
      for (const [channel, samples] of channels.entries()) this.#stems.get(name)?.channels[channel]?.set(samples, position);
    this.#pieces.push({ index, start, frames, sampleRate, device, stems: Object.fromEntries(named) });
  }
}

/** Samples of a chunk at the model's rate. */
function samplesOf({ chunkCount, chunkSize, frames, sampleRate }: SeparationPlan, { entry }: ChosenModel): number {
  return chunkCount > 1 ? chunkSize : Math.min(chunkSize, (frames * entry.sample_rate) / sampleRate);
}

function metadataOf(
  { entry, custom }: ChosenModel,
  { mode }: ExecutionConstraints,
  { stemNames, chunkSize, overlapSize }: SeparationPlan,
): Omit<SeparationMetadata, "device" | "deviceType"> {
  return {
    modelName: custom ? entry.name : "TF-Locoformer",
    modelVariant: `${stemNames.length}-stem`,
    weightHash: entry.sha256,
    chunkSize,
    overlapSize,
    executionMode: mode,
  };
}
