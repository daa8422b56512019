/** What the page or runtime offers, found without side effects. Printable, for a bug report. */
export interface Environment {
  /** WebAssembly is there. */
  readonly wasm: boolean;
  /** WebAssembly has 128-bit SIMD: Chrome 91, Firefox 89, Safari 16.4, Node 16.4 or newer. */
  readonly simd: boolean;
  /** Module workers can be started. */
  readonly workers: boolean;
  /** The page is cross-origin isolated. Not needed here. */
  readonly crossOriginIsolated: boolean;
  /** Logical processors, as the browser tells them (it may tell fewer); 1 if it does not. */
  readonly hardwareConcurrency: number;
  /** The Cache API, where fetched models are kept first. Absent on plain http. */
  readonly cacheStorage: boolean;
  /** IndexedDB, where fetched models are kept second. */
  readonly indexedDb: boolean;
}

/** A module whose one function takes a 128-bit vector: it is valid exactly where SIMD is. */
const SIMD_MODULE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x05, 0x01, 0x60, 0x01, 0x7b, 0x00], // type: (v128) -> ()
  ...[0x03, 0x02, 0x01, 0x00], // one function of that type
  ...[0x0a, 0x04, 0x01, 0x02, 0x00, 0x0b], // with an empty body
);

/** The part of a global object that is looked at. */
export type GlobalScope = Partial<
  Pick<typeof globalThis, "WebAssembly" | "Worker" | "navigator" | "crossOriginIsolated" | "caches" | "indexedDB">
>;

/** Detects what `scope` (the global object) offers. */
export function detectEnvironment(scope: GlobalScope): Environment {
  const wasm = typeof scope.WebAssembly === "object";
  return {
    wasm,
    simd: wasm && scope.WebAssembly?.validate(SIMD_MODULE) === true,
    workers: typeof scope.Worker === "function",
    crossOriginIsolated: scope.crossOriginIsolated === true,
    hardwareConcurrency: Math.max(1, scope.navigator?.hardwareConcurrency ?? 1),
    cacheStorage: scope.caches !== undefined,
    indexedDb: scope.indexedDB !== undefined && scope.indexedDB !== null,
  };
}

/** What is needed and missing, in words; empty where the engine runs. */
export function missingFrom(environment: Environment): string[] {
  const missing: string[] = [];
  if (!environment.wasm) missing.push("WebAssembly");
  else if (!environment.simd) missing.push("WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4, Node 16.4 or newer have it)");
  if (!environment.workers) missing.push("Web Workers");
  return missing;
}
