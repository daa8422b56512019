import { messageOf, OtolithError } from "./errors.js";
import type { Platform } from "./platform.js";
import { firstBytes, isWebPage, readBody } from "./response.js";
import type { WorkerKind } from "./worker/protocol.js";

/** Where a wasm file comes from: an address, or the file in hand. */
export type WasmSource = string | URL | Response | ArrayBuffer | WebAssembly.Module;

/** Told the bytes read and the length announced, null without one. */
type ByteReport = (done: number, total: number | null) => void;

/** Most bytes a wasm file may have: far above ours, far below what would hurt. */
const WASM_LIMIT_BYTES = 64 * 1024 * 1024;

/** Fetches and compiles each wasm file once, when first needed; every worker then starts from the compiled module. @internal */
export class WasmFiles {
  readonly #platform: Platform;
  readonly #closed: AbortSignal;
  readonly #sources: Readonly<Partial<Record<WorkerKind, WasmSource>>>;
  readonly #modules = new Map<WorkerKind, Promise<WebAssembly.Module>>();

  /** `closed` ends all fetches. */
  constructor(platform: Platform, sources: Partial<Record<WorkerKind, WasmSource>>, closed: AbortSignal) {
    this.#platform = platform;
    this.#closed = closed;
    this.#sources = sources;
  }

  /** The compiled file. A failure is not kept: the next call tries again. */
  module(kind: WorkerKind, report?: ByteReport): Promise<WebAssembly.Module> {
    let module = this.#modules.get(kind);
    if (!module) {
      module = this.#load(kind, report);
      module.catch(() => this.#modules.delete(kind));
      this.#modules.set(kind, module);
    }
    return module;
  }

  async #load(kind: WorkerKind, report?: ByteReport): Promise<WebAssembly.Module> {
    const source = this.#sources[kind] ?? (kind === "core" ? this.#platform.coreUrl() : this.#platform.neuralUrl());
    if (source instanceof WebAssembly.Module) return source;
    if (source instanceof ArrayBuffer) return compile(kind, source, "bytes");
    if (source instanceof Response) return this.#read(kind, source, source.url || "a Response", report);
    const url = new URL(source, this.#platform.baseUrl);
    let response: Response;
    try {
      response = await this.#platform.fetch(url, this.#closed);
    } catch (cause) {
      this.#closed.throwIfAborted();
      throw wasmError(kind, `could not fetch ${url}: ${messageOf(cause)}`, { url: url.href }, cause);
    }
    return this.#read(kind, response, url.href, report);
  }

  async #read(kind: WorkerKind, response: Response, url: string, report?: ByteReport) {
    const { status } = response;
    const type = response.headers.get("content-type") ?? "none";
    const failed = (what: string, cause: unknown) =>
      wasmError(kind, `got no wasm: ${url} answered status ${status} and ${what}`, { url, status, contentType: type }, cause);
    const bytes = await readBody(response, { limit: WASM_LIMIT_BYTES, signal: this.#closed, failed, ...(report && { report }) });
    const found = `${url} answered status ${status}, content type ${type}, first bytes "${firstBytes(bytes)}"`;
    const details = { url, status, contentType: type, firstBytes: firstBytes(bytes) };
    if (!response.ok) throw wasmError(kind, `got no wasm: ${found}`, details);
    if (isWebPage(response)) throw wasmError(kind, `got a web page, not wasm: ${found}`, details);
    return compile(kind, bytes, found, details);
  }
}

async function compile(
  kind: WorkerKind,
  bytes: ArrayBuffer,
  found: string,
  details: Record<string, unknown> = {},
): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw wasmError(kind, `could not compile ${found}: ${messageOf(cause)}`, details, cause);
  }
}

function wasmError(kind: WorkerKind, what: string, details: Record<string, unknown>, cause?: unknown): OtolithError {
  return new OtolithError("unsupported-environment", `${kind}.wasm: ${what}; set urls.${kind} to where the file is served`, {
    details,
    cause,
  });
}
