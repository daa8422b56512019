// Times beat tracking of one sound in otolith, music-tempo and essentia.js: one process, one thread each, in turns.
//
//   node benches/beats.mjs SONG [--seconds N] [--rounds N] [--json FILE]
//
// With --seconds the song is repeated or cut to that length (240 for the bars of docs/algorithms/beats.md). otolith: core.wasm, method flux, whole and as a stream; with a neural.wasm and a beat network in models/ also method tcn. music-tempo 1.0.3
// and essentia.js 0.1.3 (RhythmExtractor2013, both of its methods) get the mean of the channels at 44.1 kHz, which is what they take. Figures are
// multiples of real time, by the clock and by the processor time that the process took (which other programs do not lengthen), and ratios to
// music-tempo within the same round. Besides: sizes of wasm and model, and the time from bytes to a network that is ready, the first time
// and again. essentia.js is under the AGPL: it is installed under benches/peers/ on
// demand and is no part of the package. Needs a build (npm start -- --no-serve).
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";

import { root } from "../pkg-config/paths.mjs";

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string" }, json: { type: "string" } },
  allowPositionals: true,
});
const [song] = positionals;
if (song === undefined || positionals.length > 1)
  throw new Error("usage: node benches/beats.mjs SONG [--seconds N] [--rounds N] [--json FILE]");

const peers = join(root, "benches/peers");
if (!existsSync(join(peers, "node_modules/essentia.js"))) execFileSync("npm", ["ci"], { cwd: peers, stdio: "inherit" });
const require = createRequire(join(peers, "package.json"));

const models = JSON.parse(readFileSync(join(root, "models/manifest.json"), "utf8")).models;
const network = models.find(({ contract }) => contract === "beat-activations");
const kind = network && existsSync(join(root, ".tools/wasm/neural/neural_bg.wasm")) ? "neural" : "core";
const rooms = await import(join(root, `.tools/wasm/${kind}/${kind}.js`));
const wasm = readFileSync(join(root, `.tools/wasm/${kind}/${kind}_bg.wasm`));
const load = { wasmBytes: wasm.length };
const compiled = timed("compileSeconds", () => new WebAssembly.Module(wasm));
timed("instantiateSeconds", () => rooms.initSync({ module: compiled }));
const graphs = kind === "neural" ? ["front", "trunk", "tempo"].map((role) => network.files.find((file) => file.role === role)) : undefined;
const files = graphs?.map(({ file }) => readFileSync(join(root, "models", file)));
if (graphs) load.modelBytes = graphs.reduce((sum, { bytes }) => sum + bytes, 0);
const openNetwork = () => new rooms.BeatModel(JSON.stringify(network), ...files);
if (graphs) timed("networkSecondsFirst", openNetwork).free();
const model = graphs && timed("networkSecondsAgain", openNetwork);

const sound = decode();
const { sampleRate } = sound;
const seconds = Number(values.seconds ?? sound.duration);
const channels = Array.from({ length: sound.channelCount }, (_, index) => lasting(sound.channel(index)));
if (sampleRate !== 44_100) throw new Error(`the peers take 44 100 Hz, ${song} has ${sampleRate}: give another song`);
const mono = channels[0].map((_, n) => channels.reduce((sum, channel) => sum + channel[n], 0) / channels.length);

const runs = {
  "otolith flux": () => track(new rooms.BeatStepper(copy(), { method: "flux" })),
  "otolith flux again": () => track(new rooms.BeatStepper(copy(), { method: "flux" })),
  "otolith stream, flux": stream,
  ...(kind === "neural" && tcn()),
  "music-tempo": () => new (require("music-tempo"))(mono).tempo,
  ...essentia(),
};

const times = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
const cpuTimes = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
const tempos = {};
for (let round = 0; round < Number(values.rounds) + 1; round++) {
  for (const [name, run] of Object.entries(runs)) {
    const [began, cpuBegan] = [performance.now(), process.cpuUsage()];
    tempos[name] = Number(run());
    // The first round warms up.
    if (round === 0) continue;
    times[name].push((performance.now() - began) / 1000);
    const { user, system } = process.cpuUsage(cpuBegan);
    cpuTimes[name].push((user + system) / 1e6);
  }
}
const report = {
  song: basename(song),
  seconds,
  cpu: cpus()[0]?.model,
  node: process.version,
  model: network?.model_version ?? null,
  load,
  peers: {},
};
for (const [name, taken] of Object.entries(times)) {
  report.peers[name] = {
    bpm: Number(tempos[name].toFixed(2)),
    timesRealTime: quartiles(taken.map((time) => seconds / time)),
    timesRealTimeByProcessor: quartiles(cpuTimes[name].map((time) => seconds / time)),
    againstMusicTempo: quartiles(taken.map((time, round) => times["music-tempo"][round] / time)),
  };
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
console.log(JSON.stringify(report, null, 2));

function decode() {
  const bytes = readFileSync(song);
  const file = { size: bytes.length, read: (at, length) => bytes.subarray(at, at + length) };
  const decoder = new rooms.Decoder(file, basename(song), {}, false);
  while (decoder.step());
  return decoder.finish();
}

function copy() {
  return new rooms.Sound(channels, sampleRate, {});
}

function track(stepper) {
  while (stepper.step());
  return stepper.finish().tempo.bpm;
}

function stream() {
  const heard = new rooms.BeatStream(sampleRate, { method: "flux" });
  const events = [];
  for (let start = 0; start < mono.length; start += 1024) events.push(...heard.push([mono.subarray(start, start + 1024)]));
  heard.free();
  return events.at(-1)?.bpm ?? 0;
}

function tcn() {
  return { "otolith tcn": () => track(rooms.BeatStepper.withNetwork(copy(), { method: "tcn" }, model)) };
}

/** A channel repeated or cut to the length asked for. */
function lasting(channel) {
  return Float32Array.from({ length: Math.round(seconds * sampleRate) }, (_, n) => channel[n % channel.length]);
}

function timed(name, work) {
  const began = performance.now();
  const result = work();
  load[name] = Number(((performance.now() - began) / 1000).toFixed(3));
  return result;
}

function essentia() {
  const { Essentia, EssentiaWASM } = require("essentia.js");
  const engine = new Essentia(EssentiaWASM);
  const rhythm = (method) => () => {
    const vector = engine.arrayToVector(mono);
    const { bpm } = engine.RhythmExtractor2013(vector, 208, method, 40);
    vector.delete();
    return bpm;
  };
  return { "essentia.js multifeature": rhythm("multifeature"), "essentia.js degara": rhythm("degara") };
}

function quartiles(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share) => Number(sorted[Math.round(share * (sorted.length - 1))].toFixed(2));
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
}
