import { type Engine, startEngine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";
import { detectEnvironment } from "./environment.js";
import { OtolithError } from "./errors.js";
import { CacheStorageModelCache, FallbackModelCache, IndexedDbModelCache, MemoryModelCache } from "./model-cache.js";
import type { Platform, ScriptUrl, WorkerPort } from "./platform.js";
import { findWebAudioDecode } from "./web-audio-decoder.js";

/**
 * Starts an engine in this page. It fetches nothing but the package's own files, and models only when a separation needs one.
 *
 * Errors: `TypeError` for a wrong option; `unsupported-environment` where WebAssembly SIMD or workers are missing, or where worker.js or
 * core.wasm cannot be had.
 */
export function createEngine(options?: EngineOptions): Promise<Engine> {
  return startEngine(options, browserPlatform());
}

function browserPlatform(): Platform {
  return {
    environment: detectEnvironment(globalThis),
    startWorker,
    fetch: (url, signal) => fetch(url, { credentials: "omit", signal }),
    fileAt: async () => undefined,
    blobsTravel: true,
    decode: findWebAudioDecode(globalThis),
    coreUrl: () => new URL("./core.wasm", import.meta.url),
    gpuModule,
    neuralUrl: () => new URL("./neural.wasm", import.meta.url),
    baseUrl: globalThis.document?.baseURI ?? globalThis.location?.href,
    openModelCache,
  };
}

function startWorker(url: ScriptUrl | undefined): WorkerPort {
  // Bundlers find the worker only when its address stands in this very expression.
  const worker =
    url === undefined
      ? new Worker(new URL("./worker.js", import.meta.url), { type: "module" })
      : new Worker(url as string, { type: "module" });
  const port: WorkerPort = {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onMessage: () => {},
    onFailure: () => {},
    terminate: () => worker.terminate(),
    keepAlive: () => {},
  };
  worker.onmessage = ({ data }) => port.onMessage(data);
  worker.onmessageerror = () => port.onFailure("a message could not be read");
  worker.onerror = (event) => {
    event.preventDefault();
    port.onFailure(event.message ?? "no reason is given: see the browser's console");
  };
  return port;
}

function gpuModule(url: string | URL | undefined): string {
  if (url !== undefined) return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  // Import maps are the page's alone: the worker gets what the page makes of the name. In a variable, so that no bundler follows it.
  const name = "onnxruntime-web/webgpu";
  try {
    return import.meta.resolve(name);
  } catch (cause) {
    const advice = `set urls.onnxruntime to where the module ${name} is served, or name it in an import map`;
    throw new OtolithError("gpu-unavailable", `the graphics processor cannot be used: ${advice}`, { cause });
  }
}

function openModelCache(warn: (message: string) => void) {
  const caches = [{ name: "memory", cache: new MemoryModelCache() as CacheStorageModelCache | IndexedDbModelCache | MemoryModelCache }];
  if (globalThis.indexedDB) caches.unshift({ name: "IndexedDB", cache: new IndexedDbModelCache(globalThis.indexedDB) });
  if (globalThis.caches) caches.unshift({ name: "the Cache API", cache: new CacheStorageModelCache(globalThis.caches) });
  return new FallbackModelCache(caches, warn);
}
