/** The scripts that wasm-bindgen writes beside the wasm files; what they export besides is typed in rooms.ts. */
declare module "@wasm/core" {
  /** Instantiates a compiled core.wasm. */
  export function initSync(options: { module: WebAssembly.Module }): unknown;
}
declare module "@wasm/neural" {
  /** Instantiates a compiled neural.wasm. */
  export function initSync(options: { module: WebAssembly.Module }): unknown;
}
