import * as core from "@wasm/core";
import * as neural from "@wasm/neural";
import { messageOf, OtolithError } from "../errors.js";
import { Call, Cancelled, isExhaustion, isTrap } from "./call.js";
import { Instance } from "./calls.js";
import { Graphics } from "./graphics.js";
import { type Calls, type ErrorData, type FromWorker, readToWorker, type ToWorker } from "./protocol.js";
import type { CoreRooms, NeuralRooms } from "./rooms.js";

/** The worker script: one wasm instance, calls answered one after the other. The same file runs as Web Worker and on worker_threads. */

let post: (message: FromWorker, transfer?: ArrayBuffer[]) => void;
let instance: Instance | undefined;
const graphics = new Graphics();
let dead = false;
const pending = new Map<number, Call>();
let last: Promise<void> = Promise.resolve();

function receive(data: unknown): void {
  const message = readToWorker(data);
  // What is not of the protocol has no id to answer to.
  if (!message || dead) return;
  if ("cancel" in message) {
    pending.get(message.cancel)?.cancel();
    return;
  }
  const call = new Call(message.id, post);
  pending.set(message.id, call);
  last = last.then(() => answer(message, call));
}

async function answer({ id, method, params }: Extract<ToWorker, { method: string }>, call: Call): Promise<void> {
  if (dead) return;
  try {
    await call.pause();
    if (method === "initialise") {
      post({ kind: "result", id, result: initialise(params as Calls["initialise"]["params"]), memoryBytes: 0 });
      return;
    }
    const handler = instance?.handler(method) ?? graphics.handler(method);
    if (!handler) throw new OtolithError("internal", `worker has no call ${method}`);
    const { result, transfer } = await handler((params ?? {}) as never, call);
    post({ kind: "result", id, result, memoryBytes: instance?.memoryBytes ?? 0 }, transfer);
  } catch (thrown) {
    if (isTrap(thrown)) {
      dead = true;
      post({ kind: "crashed", panic: panicOf(thrown) });
    } else if (thrown instanceof Cancelled) post({ kind: "cancelled", id });
    else post({ kind: "error", id, error: errorData(thrown) });
  } finally {
    pending.delete(id);
  }
}

function initialise({ kind, module }: Calls["initialise"]["params"]): Calls["initialise"]["result"] {
  const glue = kind === "neural" ? neural : core;
  glue.initSync({ module });
  const rooms = glue as unknown as CoreRooms | NeuralRooms;
  instance = new Instance(rooms, kind);
  return { version: rooms.version() };
}

/**
 * The last word of a dead instance; null if memory was lacking. Where linear memory cannot grow, tract says so, and Rust itself ends
 * without a word, by an instruction that is never reached else.
 */
function panicOf(trap: unknown): string | null {
  const { otolithPanic: panic } = globalThis as { otolithPanic?: string };
  const word = panic ?? messageOf(trap);
  return isExhaustion(trap) || (panic === undefined ? /unreachable/i : /failed to allocate/).test(word) ? null : word;
}

/** Errors of Rust and of this package carry a code; anything else is a fault of ours. */
function errorData(thrown: unknown): ErrorData {
  const { code, details } = (typeof thrown === "object" && thrown !== null ? thrown : {}) as Partial<ErrorData>;
  const message = messageOf(thrown);
  if (typeof code === "string") return { code, message, details: details ?? {} };
  return { code: "internal", message, details: {} };
}

interface WorkerScope {
  onmessage: ((event: { data: unknown }) => void) | null;
  postMessage(message: FromWorker, transfer: ArrayBuffer[]): void;
}

if ("WorkerGlobalScope" in globalThis) {
  const scope = globalThis as unknown as WorkerScope;
  post = (message, transfer = []) => scope.postMessage(message, transfer);
  scope.onmessage = ({ data }) => receive(data);
} else {
  // Named in a variable, so that no bundler of a page looks for it.
  const threads = "node:worker_threads";
  import(/* webpackIgnore: true */ /* @vite-ignore */ threads).then(({ parentPort }: typeof import("node:worker_threads")) => {
    post = (message, transfer = []) => parentPort?.postMessage(message, transfer);
    parentPort?.on("message", receive);
  });
}
