import { LESS_MEMORY, OtolithError } from "../errors.js";
import type { JobPhase } from "../job.js";
import type { WorkerPort } from "../platform.js";
import { type Calls, type FromWorker, type Method, readFromWorker, type WorkerKind } from "./protocol.js";

/** Milliseconds that a cancelled call has to stop at its next step before its worker is terminated. */
const GRACE_MS = 1000;

/** How a call is made. */
export interface CallOptions {
  /** Aborting it cancels the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Buffers to give away with the parameters. */
  readonly transfer?: ArrayBuffer[];
  /** Told the call's progress. */
  readonly onProgress?: (phase: JobPhase, done: number, total: number | null) => void;
}

interface Pending extends CallOptions {
  resolve(result: unknown): void;
  reject(thrown: unknown): void;
}

/** The page's end of one worker: calls out, answers in. It dies with its worker: of a trap, of a cancel not heard in time, or closed. */
export class WorkerLink {
  readonly #port: WorkerPort;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #death: unknown;
  #ready = false;
  #memoryBytes = 0;

  private constructor(port: WorkerPort) {
    this.#port = port;
    port.onMessage = (data) => this.#receive(data);
    port.onFailure = (reason) => this.#fail(reason);
  }

  /** Starts wasm in a fresh worker; gives the version of the wasm file too. */
  static async start(port: WorkerPort, kind: WorkerKind, module: WebAssembly.Module): Promise<{ link: WorkerLink; version: string }> {
    const { link, result } = await WorkerLink.open(port, "initialise", { kind, module });
    return { link, version: result.version };
  }

  /** Makes the first call of a fresh worker, which is closed if that fails. */
  static async open<M extends Method>(
    port: WorkerPort,
    method: M,
    params: Calls[M]["params"],
  ): Promise<{ link: WorkerLink; result: Calls[M]["result"] }> {
    const link = new WorkerLink(port);
    try {
      const result = await link.call(method, params);
      link.#ready = true;
      return { link, result };
    } catch (thrown) {
      link.close(thrown);
      throw thrown;
    }
  }

  /** True once the worker is gone. */
  get dead(): boolean {
    return this.#death !== undefined;
  }

  /** Bytes of the worker's linear memory at its last answer, which is also the most it ever had. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Calls `method` in the worker. A Node process lives on for the calls that are pending, and not for idle workers. */
  async call<M extends Method>(method: M, params: Calls[M]["params"], options: CallOptions = {}): Promise<Calls[M]["result"]> {
    const { signal, transfer = [] } = options;
    signal?.throwIfAborted();
    if (this.dead) throw this.#death;
    const id = this.#nextId++;
    let grace: ReturnType<typeof setTimeout> | undefined;
    const cancel = () => {
      this.#port.post({ cancel: id }, []);
      grace = setTimeout(() => this.close(signal?.reason), GRACE_MS);
    };
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { ...options, resolve, reject });
        this.#port.keepAlive(true);
        this.#port.post({ id, method, params }, transfer);
      })) as Calls[M]["result"];
    } finally {
      this.#pending.delete(id);
      if (this.#pending.size === 0 && !this.dead) this.#port.keepAlive(false);
      clearTimeout(grace);
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** Ends the worker. Every pending call rejects with `reason`, and so does every later one. */
  close(reason: unknown): void {
    if (this.dead) return;
    this.#death = reason ?? new OtolithError("disposed", "the worker was closed");
    this.#port.terminate();
    for (const { reject } of this.#pending.values()) reject(this.#death);
  }

  #receive(data: unknown): void {
    if (this.dead) return;
    const message = readFromWorker(data);
    if (!message) this.close(new OtolithError("internal", "a worker sent what is not of the protocol: are all files of one version?"));
    else if (message.kind === "crashed") this.close(message.panic === null ? this.#exhausted() : crashedError(message.panic));
    else this.#settle(message);
  }

  #exhausted(): OtolithError {
    const bytes = this.#memoryBytes;
    return new OtolithError("out-of-memory", `the worker has ended: it could get no more memory; ${LESS_MEMORY}`, { details: { bytes } });
  }

  #settle(message: Exclude<FromWorker, { kind: "crashed" }>): void {
    const call = this.#pending.get(message.id);
    // A call that was given up may still be answered.
    if (!call) return;
    switch (message.kind) {
      case "progress":
        call.onProgress?.(message.phase, message.done, message.total);
        break;
      case "result":
        this.#memoryBytes = Math.max(this.#memoryBytes, message.memoryBytes);
        call.resolve(message.result);
        break;
      case "cancelled":
        call.reject(call.signal?.reason);
        break;
      case "error": {
        const { code, message: text, details } = message.error;
        call.reject(new OtolithError(code, text, { details }));
      }
    }
  }

  #fail(reason: string): void {
    if (this.#ready) {
      this.close(crashedError(reason));
      return;
    }
    const hint = "the worker script could not be started: set urls.worker to where worker.js is served, from the page's own origin";
    this.close(new OtolithError("unsupported-environment", `${hint} (${reason})`, { details: { reason } }));
  }
}

function crashedError(panic: string): OtolithError {
  return new OtolithError("crashed", `the wasm instance at work has died, please report it: ${panic}`, { details: { panic } });
}
