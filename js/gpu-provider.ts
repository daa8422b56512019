import { abortable } from "./abortable.js";
import { messageOf, OtolithError } from "./errors.js";
import { type ExecutionConstraints, mayUseGpu } from "./policy.js";
import type { WorkerLink } from "./worker/link.js";
import type { GpuAdapter, NetworkProbe, NetworkTensor } from "./worker/protocol.js";

/** Decibels that outputs of graphics processor and processor may be apart. */
const PROBE_SNR_DB = 60;
/** Milliseconds that the probe may take. */
const PROBE_MS = 5000;

/** How the provider gets its worker and its module. @internal */
export interface GpuParts {
  /** Where onnxruntime-web lies. @throws {OtolithError} `gpu-unavailable` where it cannot be told */
  readonly module: () => string;
  /** Starts a worker with the graphics processor opened. */
  readonly start: (params: { module: string; allowSoftware: boolean }) => Promise<{ link: WorkerLink; result: GpuAdapter }>;
}

/** A network that is to run on the graphics processor. @internal */
export interface GpuRequest {
  /** Digest of the model. */
  readonly key: string;
  /** The model's file. */
  readonly bytes: ArrayBuffer;
  readonly allowSoftware: boolean;
  /** What the network gives for fixed noise on the processor, and how long that took. */
  readonly probe: () => Promise<{ readonly probe: NetworkProbe; readonly seconds: number }>;
  readonly signal: AbortSignal;
}

/** A network on the graphics processor. @internal */
export interface GpuNetwork {
  /** What computes. */
  readonly adapter: GpuAdapter;
  /**
   * Runs the network.
   * @throws {OtolithError} `gpu-unavailable` if the device is lost or out of memory
   */
  run(input: NetworkTensor, signal: AbortSignal): Promise<NetworkTensor>;
  /** Gives the device up, since it failed. The next job may try again. */
  release(reason: unknown): void;
}

interface Opened {
  readonly link: WorkerLink;
  readonly adapter: GpuAdapter;
  /** By model: whether it passed its probe, asked once; rejected with the reason if not. */
  readonly probes: Map<string, Promise<boolean>>;
}

/**
 * The graphics processor, in a worker of its own: one engine has one, for jobs whose constraints allow it. Nothing of it is fetched,
 * started or looked at before such a job comes. @internal
 */
export class GpuProvider {
  readonly #parts: GpuParts;
  /** Software adapters are opened apart: what a test was allowed is not open to the next job. */
  readonly #opened = new Map<boolean, Promise<Opened>>();
  #closed: unknown;

  constructor(parts: GpuParts) {
    this.#parts = parts;
  }

  /**
   * The network of `request` on the graphics processor, once it has passed its probe.
   * @throws {OtolithError} `not-authorized` if the constraints do not allow it; `gpu-unavailable` with the reason
   */
  async open(constraints: ExecutionConstraints, request: GpuRequest): Promise<GpuNetwork> {
    if (!mayUseGpu(constraints)) throw new OtolithError("not-authorized", "this job may not use the graphics processor", { status: 403 });
    if (this.#closed !== undefined) throw this.#closed;
    const { key, signal } = request;
    const opened = await abortable(this.#device(request.allowSoftware), signal);
    // A probe that another job began and cancelled says nothing of the model.
    while (!(await abortable(this.#passes(opened, request), signal)));
    const { link, adapter } = opened;
    return {
      adapter,
      // Cancelling gives up the wait and not the worker, which another job may share.
      run: (input, runSignal) => abortable(link.call("runGpu", { key, input }, { transfer: [input.values.buffer] }), runSignal),
      release: (reason) => {
        link.close(reason);
        this.#opened.delete(request.allowSoftware);
      },
    };
  }

  /** Ends the workers. */
  close(reason: unknown): void {
    this.#closed = reason;
    for (const opened of this.#opened.values())
      opened.then(
        ({ link }) => link.close(reason),
        () => {},
      );
  }

  #device(allowSoftware: boolean): Promise<Opened> {
    const opened = this.#opened.get(allowSoftware);
    if (opened) return opened;
    const opening = this.#start(allowSoftware);
    this.#opened.set(allowSoftware, opening);
    return opening;
  }

  async #start(allowSoftware: boolean): Promise<Opened> {
    try {
      const { link, result } = await this.#parts.start({ module: this.#parts.module(), allowSoftware });
      if (this.#closed !== undefined) link.close(this.#closed);
      return { link, adapter: result, probes: new Map() };
    } catch (thrown) {
      throw asUnavailable(thrown);
    }
  }

  /** True if the model passes, false if its probe was cancelled and has to be begun again. Rejects with why it does not pass. */
  #passes(opened: Opened, request: GpuRequest): Promise<boolean> {
    const known = opened.probes.get(request.key);
    if (known) return known;
    const probe = this.#probe(opened, request).then(
      () => true,
      (thrown: unknown) => {
        if (!request.signal.aborted) throw thrown;
        opened.probes.delete(request.key);
        return false;
      },
    );
    opened.probes.set(request.key, probe);
    return probe;
  }

  async #probe({ link, adapter }: Opened, { key, bytes, probe }: GpuRequest): Promise<void> {
    const { probe: cpu, seconds } = await probe();
    try {
      await link.call("loadGpuModel", { key, bytes });
      const input = { shape: cpu.inputShape, values: cpu.input };
      const params = { key, input, expected: cpu.output };
      const gpu = await inTime(link, link.call("probeGpu", params, { transfer: [cpu.input.buffer, cpu.output.buffer] }));
      if (!(gpu.snrDb >= PROBE_SNR_DB))
        throw failed(`its output is ${gpu.snrDb.toFixed(1)} dB from the processor's, ${PROBE_SNR_DB} are needed`);
      // A program on the processor is there to test with, and slow.
      if (!adapter.software && gpu.seconds >= seconds)
        throw failed(`a run takes ${gpu.seconds.toFixed(3)} s there and ${seconds.toFixed(3)} s on the processor`);
    } catch (thrown) {
      throw asUnavailable(thrown);
    }
  }
}

/** Waits for the probe; a worker that is not done in time is ended. */
async function inTime<T>(link: WorkerLink, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const reason = failed(`its probe took more than ${PROBE_MS / 1000} s`);
      link.close(reason);
      reject(reason);
    }, PROBE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function failed(what: string): OtolithError {
  return new OtolithError("gpu-unavailable", `the graphics processor cannot be used: ${what}`);
}

function asUnavailable(thrown: unknown): unknown {
  if (thrown instanceof OtolithError && (thrown.code === "gpu-unavailable" || thrown.code === "disposed")) return thrown;
  return new OtolithError("gpu-unavailable", `the graphics processor cannot be used: ${messageOf(thrown)}`, { cause: thrown });
}
