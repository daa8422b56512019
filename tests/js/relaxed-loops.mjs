// Started by relaxed.test.ts with relaxed SIMD switched on: runs the loops that neural.wasm has taken up, in a memory of their own.
import { readFileSync } from "node:fs";

const glue = process.argv[2];
const { initSync } = await import(glue);
let bytes;
const { validate } = WebAssembly;
WebAssembly.validate = (module) => {
  bytes = module.slice();
  return validate(module);
};
initSync({ module: new WebAssembly.Module(readFileSync(glue.replace(/\.js$/, "_bg.wasm"))) });
const taken = Object.keys(globalThis.otolithKernels ?? {});

const memory = new WebAssembly.Memory({ initial: 4 });
const loops = new WebAssembly.Instance(new WebAssembly.Module(bytes), { otolith: { memory } }).exports;
const values = new Float32Array(memory.buffer);
const UNTOUCHED = 77;
let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 31 - 1;
};
/** Places in a memory filled anew: arrays of random numbers, then what is written, between numbers that must stay. */
function lay(sizes, written) {
  values.fill(UNTOUCHED);
  const places = [];
  let at = 16;
  for (const size of [...sizes, written]) {
    places.push(at);
    at += size + 8;
  }
  for (const [index, size] of sizes.entries()) for (let n = 0; n < size; n++) values[places[index] + n] = Math.fround(random());
  return places;
}
const at = (place) => 4 * place;
const cases = [];

for (const [depth, taps, stride, columns, gap] of [
  [5, 3, 7, 8, 0],
  [1, 1, 0, 24, 4],
  [16, 1, 0, 16, 3],
  [4, 4, 8, 40, 8],
]) {
  const row = (taps - 1) * stride + columns + 5;
  const outRow = columns + gap;
  const [weights, bias, input, out] = lay([depth * taps * 4, 4, depth * row], 4 * outRow);
  const before = values.slice();
  loops.multiply(at(weights), at(bias), at(input), depth, 4 * row, taps, 4 * stride, 4 * columns, at(out), 4 * outRow);
  const wanted = new Map();
  for (let r = 0; r < 4; r++)
    for (let c = 0; c < columns; c++) {
      let sum = before[bias + r];
      for (let d = 0; d < depth; d++)
        for (let k = 0; k < taps; k++) sum += before[weights + (d * taps + k) * 4 + r] * before[input + d * row + k * stride + c];
      wanted.set(out + r * outRow + c, sum);
    }
  judge(`multiply, ${depth} rows of ${taps} reads, ${columns} columns`, before, wanted);
}

for (const row of [4, 12, 40]) {
  const [scores, totals] = lay([4 * row], 4);
  for (let n = 0; n < row; n++) values[scores + row + n] -= 300;
  for (let n = 0; n < 4 * row; n++) values[scores + n] *= 20;
  values[scores + 3 * row - 1] = -3.4028235e38;
  const before = values.slice();
  loops.raise(at(scores), 4 * row, at(totals));
  const wanted = new Map();
  for (let r = 0; r < 4; r++) {
    const own = before.subarray(scores + r * row, scores + (r + 1) * row);
    const largest = Math.max(...own);
    let total = 0;
    for (const [n, score] of own.entries()) {
      const power = 2 ** Math.max(-100, Math.fround(score - largest));
      wanted.set(scores + r * row + n, power);
      total += power;
    }
    wanted.set(totals + r, total);
  }
  judge(`raise, ${row} columns`, before, wanted, true);
}

for (const [row, rows] of [
  [4, 2],
  [12, 6],
  [40, 4],
  [100, 16],
]) {
  const [scores, input, out] = lay([4 * row, rows * row], 4 * rows);
  const before = values.slice();
  loops.weigh(at(scores), at(input), 4 * row, rows / 2, at(out));
  const wanted = new Map();
  for (let v = 0; v < rows; v++)
    for (let q = 0; q < 4; q++) {
      let sum = 0;
      for (let c = 0; c < row; c++) sum += before[scores + q * row + c] * before[input + v * row + c];
      wanted.set(out + v * 4 + q, sum);
    }
  judge(`weigh, ${rows} rows of ${row}`, before, wanted);
}

/** The largest error, and whether anything but the wanted places has changed. */
function judge(name, before, wanted, relative = false) {
  let [error, outside] = [0, false];
  for (const [place, value] of values.entries()) {
    const sum = wanted.get(place);
    if (sum === undefined) outside ||= value !== before[place];
    else error = Math.max(error, Math.abs(value - sum) / (relative ? sum : 1));
  }
  cases.push({ name, error: Number.isNaN(error) ? Number.MAX_VALUE : error, outside });
}
console.log(JSON.stringify({ taken, cases }));
