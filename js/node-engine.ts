import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type Engine, startEngine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";
import { detectEnvironment, type GlobalScope } from "./environment.js";
import { OtolithError, unreadableError } from "./errors.js";
import { MemoryModelCache } from "./model-cache.js";
import type { Platform, ScriptUrl, WorkerPort } from "./platform.js";

/**
 * Starts an engine in Node: the same wasm on worker_threads, models from the package's files. Idle workers do not keep the process alive.
 *
 * Errors: `TypeError` for a wrong option; `unsupported-environment` where core.wasm or worker.js cannot be read.
 */
export function createEngine(options?: EngineOptions): Promise<Engine> {
  return startEngine(options, nodePlatform());
}

function nodePlatform(): Platform {
  const scope = { WebAssembly, Worker: Worker as unknown, navigator: { hardwareConcurrency: availableParallelism() } };
  return {
    environment: detectEnvironment(scope as GlobalScope),
    startWorker,
    fetch: (url, signal) => (url.protocol === "file:" ? readAsResponse(url) : fetch(url, { credentials: "omit", signal })),
    fileAt: async (url) => {
      if (url.protocol !== "file:") return undefined;
      const path = fileURLToPath(url);
      const found = await stat(path, { bigint: true }).catch((cause: unknown) => {
        throw unreadableError(path, cause);
      });
      if (!found.isFile()) throw unreadableError(path, "it is no file");
      return { path, size: Number(found.size), modified: found.mtimeNs };
    },
    blobsTravel: false,
    decode: undefined,
    coreUrl: () => new URL("./core.wasm", import.meta.url),
    gpuModule: () => {
      throw new OtolithError("gpu-unavailable", "the graphics processor cannot be used: Node has no WebGPU");
    },
    neuralUrl: () => new URL("./neural.wasm", import.meta.url),
    baseUrl: undefined,
    // Models of the package lie on disk already; those of other addresses are kept while the engine lives.
    openModelCache: () => new MemoryModelCache(),
  };
}

async function readAsResponse(url: URL): Promise<Response> {
  // Streamed, as from a server: the reader stops at its limit, however long the file is, or once its signal is aborted. The stream itself
  // must not hear of that: Node 20 would end the process for an error that the response has swallowed.
  const path = fileURLToPath(url);
  const { size } = await stat(path);
  const body = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return new Response(body, { headers: { "content-length": String(size) } });
}

function startWorker(url: ScriptUrl | undefined): WorkerPort {
  const script = url ?? new URL("./worker.js", import.meta.url);
  // Without the process's own flags: some of them, as --input-type, forbid a script in a file.
  const worker = new Worker(script instanceof URL ? script : new URL(String(script)), { execArgv: [] });
  const port: WorkerPort = {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onMessage: () => {},
    onFailure: () => {},
    terminate: () => void worker.terminate(),
    keepAlive: (keep) => (keep ? worker.ref() : worker.unref()),
  };
  worker.on("message", (data: unknown) => port.onMessage(data));
  worker.on("messageerror", () => port.onFailure("a message could not be read"));
  worker.on("error", (error) => port.onFailure(error.message));
  worker.on("exit", (code) => port.onFailure(`the worker ended with code ${code}`));
  return port;
}
