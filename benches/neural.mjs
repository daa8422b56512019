// How fast neural fingerprints are in wasm, one window at a time and batched, and how long a match takes: times real time, milliseconds.
//
//     node benches/neural.mjs [TRACKS [MANIFEST.json]]
//
// MANIFEST.json is that of an embedder, its file beside it; by default the shipped one. A minute of noise-like music is made here; timings are of whole calls through
// a worker, with resampling from 44.1 kHz, after one call to warm up, in processor time of all threads and, in brackets, by the clock; medians of five
// rounds, single and batched in turn.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createEngine } from "../dist/node.js";

const [tracks = "0", path = "models/manifest.json"] = process.argv.slice(2);
const document = JSON.parse(await readFile(path, "utf8"));
const manifest = (document.models ?? [document]).find(({ kind }) => kind === "embedder");
const { buffer, byteOffset, byteLength } = await readFile(join(dirname(path), manifest.file));
const models = { bench: { manifest, bytes: buffer.slice(byteOffset, byteOffset + byteLength) } };
const RATE = 44_100;
const ROUNDS = 5;

/** Notes of a few partials in noise. */
function music(seconds, seed) {
  let state = seed * 48_271 + 1;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const samples = Float32Array.from({ length: seconds * RATE }, () => 0.01 * (random() - 0.5));
  for (let start = 0; start < samples.length; start += Math.round(RATE / 8)) {
    const frequency = 200 + 3000 * random();
    for (let n = 0; n < RATE / 2 && start + n < samples.length; n++)
      samples[start + n] += 0.1 * Math.exp((-8 * n) / RATE) * Math.sin((2 * Math.PI * frequency * n) / RATE);
  }
  return { channels: [samples], sampleRate: RATE };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Seconds of the processor and of the clock that some work takes. */
async function measured(work) {
  const [before, began] = [process.cpuUsage(), performance.now()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { processor: (user + system) / 1e6, clock: (performance.now() - began) / 1000 };
}

/** Medians of both, as `show` writes them. */
function told(times, show) {
  const both = ["processor", "clock"].map((kind) => show(median(times.map((time) => time[kind]))));
  return `${both[0]} (${both[1]})`;
}

const engine = await createEngine({ workers: 1, models });
const minute = music(60, 1);
const timed = (batch) => measured(() => engine.fingerprint(minute, { algorithm: "neural", model: "bench", batch }));
await timed(16);
const [single, batched] = [[], []];
for (let round = 0; round < ROUNDS; round++) {
  single.push(await timed(1));
  batched.push(await timed(16));
}
const speed = (seconds) => (60 / seconds).toFixed(0);
console.log(`one window at a time: ${told(single, speed)} times real time; 16 at once: ${told(batched, speed)}`);
if (Number(tracks) > 0) {
  const catalog = await engine.openCatalog({ name: "bench", algorithm: "neural", model: "bench" });
  const print = await engine.fingerprint(music(210, 2), { algorithm: "neural", model: "bench" });
  for (let track = 0; track < Number(tracks); track++) await catalog.enrol(print, { id: String(track) });
  const query = await engine.fingerprint(music(10, 3), { algorithm: "neural", model: "bench" });
  const times = [];
  for (let round = 0; round < 11; round++) times.push(await measured(() => catalog.match(query)));
  const { postings, bytes } = await catalog.stats();
  console.log(
    `match of 10 s among ${postings} embeddings: ${told(times, (seconds) => (seconds * 1e3).toFixed(1))} ms through the worker; ${(bytes / 1e6).toFixed(0)} MB`,
  );
}
await engine.dispose();
