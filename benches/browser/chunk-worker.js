// The timed side of separate.mjs: both engines in one worker, in turns, after two rounds to warm up.
import init, { ChunkTask, SeparatorModel } from "/neural/neural.js";
import * as ort from "/ort.wasm.min.mjs";

const WARM_UP_ROUNDS = 2;
const FRAMES = 777; // of an 18 s chunk
const CHUNK = 793_800;
const BINS = 2049;

self.onmessage = async ({ data: { entry, rounds } }) => {
  const bytes = new Uint8Array(await (await fetch(`/${entry.file}`)).arrayBuffer());
  await init({ module_or_path: "/neural/neural_bg.wasm" });
  const model = new SeparatorModel(JSON.stringify(entry), bytes);
  const [left, right] = [noise(CHUNK, 1), noise(CHUNK, 2)];

  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/";
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const input = new ort.Tensor("float32", noise(4 * FRAMES * BINS, 3), [1, 4, FRAMES, BINS]);

  const chunk = () =>
    timed(() => {
      const task = new ChunkTask(model, left, right, 1, true);
      task.run(() => {});
      return task.finish();
    });
  const times = { ours: [], theirs: [], oursAgain: [] };
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    const ours = await chunk();
    const theirs = await timed(() => session.run({ [session.inputNames[0]]: input }));
    const oursAgain = await chunk();
    if (round < 0) continue;
    times.ours.push(ours);
    times.theirs.push(theirs);
    times.oursAgain.push(oursAgain);
  }
  self.postMessage(times);
};

async function timed(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** White noise in -0.1..0.1 by a multiplicative hash. */
function noise(length, seed) {
  return Float32Array.from({ length }, (_, n) => (Math.imul(n + seed * 7919, 2654435761) >>> 0) / 2 ** 31 / 10 - 0.1);
}
