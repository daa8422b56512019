/** `(module (func (param v128) (result v128) local.get 0 local.get 0 local.get 0 f32x4.relaxed_madd))`: valid where there is relaxed SIMD. */
export const RELAXED_MODULE: readonly number[] = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11],
];

/** Whether this process has it. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(Uint8Array.from(RELAXED_MODULE));
