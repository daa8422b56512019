import { messageOf } from "./errors.js";
import type { GpuNetwork, GpuProvider } from "./gpu-provider.js";
import { loadModel } from "./inference.js";
import type { ChosenModel } from "./models.js";
import type { DeviceReport, SeparationMetadata } from "./separation-job.js";
import type { CheckedOptions } from "./separation-options.js";
import type { WorkerPool } from "./worker/pool.js";
import type { GpuAdapter } from "./worker/protocol.js";

interface Tools {
  readonly gpu: GpuProvider;
  readonly neural: WorkerPool;
  readonly warn: (message: string) => void;
}

type Counts = DeviceReport["chunks"];

/** What runs the network of one separation, and the account of it. @internal */
export class DeviceChoice {
  readonly #tools: Tools;
  readonly #options: CheckedOptions;
  #adapter: GpuAdapter | undefined;
  #reason: string | null = null;

  constructor(tools: Tools, options: CheckedOptions) {
    this.#tools = tools;
    this.#options = options;
  }

  /**
   * The network on the graphics processor; undefined where the job runs on the processor.
   * @throws {OtolithError} `gpu-unavailable` for `device: "gpu"` where it does not pass
   */
  async open(model: ChosenModel, bytes: ArrayBuffer, signal: AbortSignal): Promise<GpuNetwork | undefined> {
    const { constraints, device, allowSoftwareAdapter } = this.#options;
    // The provider asks again, in its own way.
    if (constraints.mode === "cpu_only" || device === "cpu") return undefined;
    const { gpu, neural, warn } = this.#tools;
    const key = model.entry.sha256;
    const probe = () =>
      neural.use(signal, async (link) => {
        await loadModel(link, model, bytes, signal);
        const began = performance.now();
        return { probe: await link.call("probeModel", { key }, { signal }), seconds: (performance.now() - began) / 1000 };
      });
    try {
      const network = await gpu.open(constraints, { key, bytes, allowSoftware: allowSoftwareAdapter, probe, signal });
      this.#adapter = network.adapter;
      return network;
    } catch (thrown) {
      signal.throwIfAborted();
      if (device === "gpu") throw thrown;
      this.#reason = messageOf(thrown);
      warn(`${this.#reason}; the network runs on the processor`);
      return undefined;
    }
  }

  /** Enters that the graphics processor failed in the middle of the job. */
  lose(reason: unknown): void {
    this.#reason = messageOf(reason);
    this.#tools.warn(`${this.#reason}; the rest of the chunks run on the processor`);
  }

  /** The account. */
  report(chunks: Counts): DeviceReport {
    const gpu = this.#adapter?.software ? "webgpu (software)" : "webgpu";
    const used = chunks.webgpu === 0 ? "cpu" : chunks.cpu === 0 ? gpu : (`${gpu}+cpu` as const);
    return { requested: this.#options.device, used, chunks, reason: this.#reason };
  }

  /** The account, for `metadata`. */
  metadata(chunks: Counts): Pick<SeparationMetadata, "device" | "deviceType"> {
    if (chunks.webgpu > 0 && this.#adapter) return { device: this.#adapter.name, deviceType: "webgpu" };
    return { device: "CPU (wasm simd128)", deviceType: "cpu" };
  }
}
