import { messageOf, OtolithError } from "../errors.js";
import type { Answer } from "./calls.js";
import type { Calls, GpuAdapter, NetworkTensor } from "./protocol.js";

/** The part of WebGPU that is used; TypeScript's DOM library does not know it yet. */
interface Gpu {
  requestAdapter(options: { powerPreference: typeof POWER }): Promise<Adapter | null>;
}

interface AdapterInfo {
  readonly vendor?: string;
  readonly architecture?: string;
  readonly device?: string;
  readonly description?: string;
  readonly isFallbackAdapter?: boolean;
}

interface Adapter {
  readonly info?: AdapterInfo;
  readonly isFallbackAdapter?: boolean;
}

interface Device {
  readonly adapterInfo?: AdapterInfo;
  readonly lost: Promise<{ readonly reason?: string; readonly message?: string }>;
}

/** The part of onnxruntime-web that is used. */
interface OnnxRuntime {
  readonly env: {
    readonly wasm: { numThreads?: number };
    readonly webgpu: { powerPreference?: string; readonly device: Device | Promise<Device> };
  };
  readonly InferenceSession: { create(bytes: Uint8Array, options: { executionProviders: string[] }): Promise<Session> };
  readonly Tensor: new (type: "float32", values: Float32Array, shape: readonly number[]) => Tensor;
}

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(inputs: Record<string, Tensor>): Promise<Record<string, Tensor>>;
}

interface Tensor {
  readonly type: string;
  readonly dims: readonly number[];
  getData(): Promise<unknown>;
  dispose(): void;
}

/** The adapter that is looked at and the one that the runtime takes are asked for alike. */
const POWER = "high-performance";

/** Adapters that are programs on the processor: slower there than our own. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|\bwarp\b|basic render|software/i;

type GpuMethod = "openGpu" | "loadGpuModel" | "probeGpu" | "runGpu";
type Handlers = { [M in GpuMethod]: (params: Calls[M]["params"]) => Promise<Answer<M>> };

/** Runs networks on the graphics processor by onnxruntime-web, in a worker that does nothing else. */
export class Graphics {
  #open: { readonly runtime: OnnxRuntime; readonly allowSoftware: boolean } | undefined;
  /** Rejects when the device is lost; there once a model is loaded. */
  #lost: Promise<never> = new Promise(() => {});
  readonly #sessions = new Map<string, Session>();

  /** The call named `method`; undefined if there is none. */
  handler(method: string): ((params: never) => Promise<Answer<GpuMethod>>) | undefined {
    return Object.hasOwn(this.#handlers, method) ? this.#handlers[method as GpuMethod] : undefined;
  }

  readonly #handlers: Handlers = {
    openGpu: async ({ module, allowSoftware }) => {
      const found = await findAdapter(allowSoftware);
      // Only now: a page whose adapter does not pass should not fetch megabytes for nothing.
      const runtime = await importRuntime(module);
      runtime.env.wasm.numThreads = 1;
      runtime.env.webgpu.powerPreference = POWER;
      this.#open = { runtime, allowSoftware };
      return { result: found };
    },

    loadGpuModel: async ({ key, bytes }) => {
      const { runtime, allowSoftware } = this.#opened();
      if (this.#sessions.has(key)) return { result: null };
      const create = runtime.InferenceSession.create(new Uint8Array(bytes), { executionProviders: ["webgpu"] });
      const session = await Promise.race([create, this.#lost]);
      // The runtime opens a device of its own with the first session, whatever it is given before.
      const device = await runtime.env.webgpu.device;
      if (device.adapterInfo) pass(device.adapterInfo, false, allowSoftware);
      if (this.#sessions.size === 0) this.#watch(device);
      this.#sessions.set(key, session);
      return { result: null };
    },

    probeGpu: async ({ key, input, expected }) => {
      // The first run compiles shaders.
      await this.#run(key, input);
      const began = performance.now();
      const { values } = await this.#run(key, input);
      const seconds = (performance.now() - began) / 1000;
      return { result: { snrDb: signalToNoise(expected, values), seconds } };
    },

    runGpu: async ({ key, input }) => {
      const output = await this.#run(key, input);
      return { result: output, transfer: [output.values.buffer] };
    },
  };

  #watch(device: Device): void {
    this.#lost = device.lost.then(({ reason, message }) => {
      throw unavailable(`the device was lost (${reason ?? "unknown"}): ${message ?? ""}`);
    });
    // Heard by whoever runs something; nobody may be.
    this.#lost.catch(() => {});
  }

  async #run(key: string, { shape, values }: NetworkTensor): Promise<NetworkTensor> {
    const { runtime } = this.#opened();
    const session = this.#sessions.get(key);
    const [input, output] = [session?.inputNames[0], session?.outputNames[0]];
    if (!session || input === undefined || output === undefined) throw unavailable(`model ${key} is not loaded there`);
    const given = new runtime.Tensor("float32", values, shape);
    const outputs = await Promise.race([session.run({ [input]: given }), this.#lost]);
    const tensor = outputs[output];
    const data = await Promise.race([tensor?.getData(), this.#lost]);
    if (!tensor || !(data instanceof Float32Array)) throw unavailable(`the network gave ${tensor?.type ?? "nothing"} for float32`);
    const result = { shape: [...tensor.dims], values: ownCopy(data) };
    for (const one of Object.values(outputs)) one.dispose();
    return result;
  }

  #opened() {
    if (!this.#open) throw unavailable("it was not opened");
    return this.#open;
  }
}

async function findAdapter(allowSoftware: boolean): Promise<GpuAdapter> {
  const gpu = (globalThis.navigator as { gpu?: Gpu } | undefined)?.gpu;
  if (!gpu) throw unavailable("this browser has no WebGPU");
  const adapter = await gpu.requestAdapter({ powerPreference: POWER });
  if (!adapter) throw unavailable("WebGPU offers no adapter");
  return pass(adapter.info ?? {}, adapter.isFallbackAdapter === true, allowSoftware);
}

/** What computes, if it may. */
function pass(info: AdapterInfo, isFallback: boolean, allowSoftware: boolean): GpuAdapter {
  const { vendor = "", architecture = "", device = "", description = "", isFallbackAdapter } = info;
  const name = [vendor, architecture, device, description].filter((part) => part !== "").join(" ") || "unnamed adapter";
  const software = isFallback || isFallbackAdapter === true || SOFTWARE.test(name);
  if (software && !allowSoftware) throw unavailable(`the adapter (${name}) is a program on the processor`);
  return { name, software };
}

async function importRuntime(module: string): Promise<OnnxRuntime> {
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ module)) as OnnxRuntime;
  } catch (cause) {
    throw unavailable(
      `onnxruntime-web could not be loaded from ${module}: ${messageOf(cause)}; set urls.onnxruntime to where it is served`,
    );
  }
}

/** Decibels of `expected` over its difference to `found`; -Infinity for another length or values that are not finite. */
function signalToNoise(expected: Float32Array, found: Float32Array): number {
  if (expected.length !== found.length) return Number.NEGATIVE_INFINITY;
  let signal = 0;
  let noise = 0;
  for (const [n, value] of expected.entries()) {
    signal += value * value;
    noise += (value - (found[n] ?? Number.NaN)) ** 2;
  }
  if (!Number.isFinite(noise)) return Number.NEGATIVE_INFINITY;
  return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
}

/** The values in a buffer of their own, which can be given away. */
function ownCopy(values: Float32Array): Float32Array<ArrayBuffer> {
  const { buffer, byteLength } = values;
  const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return whole ? (values as Float32Array<ArrayBuffer>) : new Float32Array(values);
}

function unavailable(what: string): OtolithError {
  return new OtolithError("gpu-unavailable", `the graphics processor cannot be used: ${what}`);
}
