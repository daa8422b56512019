// What `engine.estimate` reckons with before a model has run: the work of our networks in bytes that a worker digests, and the pace of decoding.
//
//   node benches/estimate.mjs SONG [--rounds N]
//
// Needs a build (npm start -- --no-serve). Prints processor seconds, which other work on the machine changes little, all in one process:
// MiB of SHA-256 that take as long as 10^9 multiplications and additions of each model (`DIGESTED_PER_GMAC` in js/estimate.ts), what a chunk takes
// over one of separator-2 (median over the rounds, in turns), and seconds of SONG that are decoded and measured in one (`HEARD_PER_SECOND`).
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import * as glue from "../.tools/wasm/neural/neural.js";

const { values, positionals } = parseArgs({ options: { rounds: { type: "string", default: "5" } }, allowPositionals: true });
const [song] = positionals;
if (!song) throw new Error("name a song: node benches/estimate.mjs SONG");
/** 10^9 multiplications and additions for a second of sound, as in js/estimate.ts. */
const work = { "separator-2-lite": 0.52, "separator-2": 1.32, "separator-5": 1.38 };
const MIB = 1024 ** 2;

const read = (path) => new Uint8Array(readFileSync(new URL(path, import.meta.url)));
glue.initSync({ module: new WebAssembly.Module(read("../.tools/wasm/neural/neural_bg.wasm")) });
const { models } = JSON.parse(Buffer.from(read("../models/manifest.json")).toString());

/** Processor seconds of each round of each action, in turns. */
function timed(actions) {
  const rounds = Array.from({ length: Number(values.rounds) + 1 }, () =>
    actions.map((action) => {
      const { user, system } = process.cpuUsage();
      action();
      const since = process.cpuUsage();
      return (since.user + since.system - user - system) / 1e6;
    }),
  );
  // The first compiles.
  return actions.map((_, index) => rounds.slice(1).map((times) => times[index]));
}

/** Least processor seconds of a round: what disturbs a round only adds. */
const least = (action) => Math.min(...timed([action])[0]);
const median = (numbers) => numbers.toSorted((x, y) => x - y)[numbers.length >> 1];

const bytes = new Uint8Array(8 * MIB).map((_, index) => index * 7);
const digested = bytes.length / MIB / least(() => glue.sha256(bytes));
const seconds = 18;
const left = Float32Array.from({ length: seconds * 44_100 }, (_, n) => Math.sin(n * 0.05) * Math.sin(n * n * 1e-7));
const right = left.map((sample, n) => sample * 0.5 + 0.1 * Math.sin(n * 0.3));
const table = { "SHA-256": { "MiB per second": digested } };
const chunks = Object.keys(work).map((name) => {
  const entry = models.find((model) => model.name === name);
  const model = new glue.SeparatorModel(JSON.stringify(entry), read(`../models/${entry.file}`));
  return () => {
    const task = new glue.ChunkTask(model, left, right, 0.5, true);
    task.run(() => {});
    task.finish();
  };
});
const times = timed(chunks);
const two = times[Object.keys(work).indexOf("separator-2")];
Object.entries(work).forEach(([name, perSecond], index) => {
  const took = Math.min(...times[index]);
  const over = median(times[index].map((time, round) => time / two[round]));
  table[name] = { "s per chunk": took, "over separator-2": over, "MiB per GMAC": (digested * took) / (perSecond * seconds) };
});
const file = new Uint8Array(readFileSync(song));
const encoded = { size: file.length, read: (at, length) => file.subarray(at, at + length) };
let heard = 0;
const took = least(() => {
  const decoder = new glue.Decoder(encoded, song, undefined, true);
  let separation;
  heard = 0;
  const take = (sound) => {
    if (!sound) return;
    heard += sound.duration;
    separation ??= new glue.Separation(sound, JSON.stringify(models.find(({ kind }) => kind === "separator")), {});
    separation.measure(sound, true);
  };
  while (decoder.step()) take(decoder.block());
  take(decoder.finish());
  separation.free();
});
table.decoding = { "seconds of sound per second": heard / took };
for (const row of Object.values(table)) for (const key of Object.keys(row)) row[key] = Math.round(row[key] * 100) / 100;
console.table(table);
console.log(`load during the run: ${loadavg()[0].toFixed(1)}`);
