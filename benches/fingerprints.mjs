// Fingerprints in wasm beside audiofp and our native build, and the time of a query: one process each, one thread each, in turns.
//
//   node benches/fingerprints.mjs [--rounds N] [--tracks N] [--queries N] [--crowd N] [--json FILE]
//
// Extraction: a minute of generated music at the rate that each algorithm works at, by core.wasm here and, in benches/peers/audiofp, by audiofp
// and by otolith's native build (cargo builds them). Figures are multiples of real time by processor time, which other programs on the machine
// disturb least, with quartiles, and ratios within the same round. Queries: 10 s fingerprints against --tracks generated ones of 210 s each in
// linear memory, and a sound of 2 s against --crowd fingerprints of the same sound; the call in wasm alone, without a worker around it. Needs a
// build (npm start -- --no-serve).
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { root } from "../pkg-config/paths.mjs";
import { excerptOf, HEADER_BYTES, peaksOf, printOf, quartiles, SECONDS } from "./browser/generated-prints.js";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    tracks: { type: "string", default: "1000" },
    queries: { type: "string", default: "40" },
    crowd: { type: "string", default: "0" },
    json: { type: "string" },
  },
});
const count = (name) => Number(values[name]);
const RATES = { wang: 8_000, panako: 16_000, haitsma: 11_025 };
const CLIP_SECONDS = 60;
const LIMITS = {};

const rooms = await import(join(root, ".tools/wasm/core/core.js"));
rooms.initSync({ module: readFileSync(join(root, ".tools/wasm/core/core_bg.wasm")) });

const report = { cpu: cpus()[0]?.model, load: loadavg()[0] };
if (count("rounds") > 0) report.extraction = await extraction();
if (count("tracks") > 0) report.queries = queries(count("tracks"));
if (count("crowd") > 0) report.crowd = crowd(count("crowd"));
report.loadAtEnd = loadavg()[0];
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
console.log(JSON.stringify(report, null, 2));

/** Processor seconds that some work takes. */
function processorSeconds(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

async function extraction() {
  const folder = mkdtempSync(join(tmpdir(), "otolith-fingerprints-"));
  const crate = join(root, "benches/peers/audiofp");
  execFileSync("cargo", ["build", "--release", "--bin", "peer-audiofp"], { cwd: crate, stdio: "inherit" });
  const peer = spawn(join(crate, "target/release/peer-audiofp"), ["--serve", folder], { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
  const ask = async (what) => {
    peer.stdin.write(`${what}\n`);
    return Number((await answers.next()).value);
  };
  try {
    await answers.next(); // "ready": the clips are written
    const times = {};
    for (let round = 0; round < count("rounds") + 2; round++) {
      for (const [algorithm, rate] of Object.entries(RATES)) {
        const bytes = readFileSync(join(folder, `${rate}.f32`));
        const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).slice();
        const sound = new rooms.Sound([samples], rate, LIMITS);
        const wasm = processorSeconds(() => {
          const stepper = new rooms.Fingerprinter(sound, { algorithm });
          while (stepper.step());
          stepper.finish().free();
        });
        const native = await ask(`otolith ${algorithm}`);
        const audiofp = await ask(`audiofp ${algorithm}`);
        // Two rounds warm up: V8 replaces its first code by optimised code.
        if (round < 2) continue;
        times[algorithm] ??= { wasm: [], native: [], audiofp: [], wasmToAudiofp: [], nativeToAudiofp: [] };
        const of = times[algorithm];
        of.wasm.push(CLIP_SECONDS / wasm);
        of.native.push(CLIP_SECONDS / native);
        of.audiofp.push(CLIP_SECONDS / audiofp);
        of.wasmToAudiofp.push(audiofp / wasm);
        of.nativeToAudiofp.push(audiofp / native);
      }
    }
    const shown = (of) => Object.fromEntries(Object.entries(of).map(([name, figures]) => [name, quartiles(figures)]));
    return Object.fromEntries(Object.entries(times).map(([algorithm, of]) => [algorithm, shown(of)]));
  } finally {
    peer.stdin.end();
    rmSync(folder, { recursive: true });
  }
}

/** Takes a call to its end; gives its outcome. */
function finish(catalog) {
  for (;;) {
    const { kind } = catalog.step();
    if (kind === "done") return catalog.outcome();
    if (kind !== "working") throw new Error(`a catalogue in memory asked for ${kind}`);
  }
}

function header() {
  const noise = Float32Array.from({ length: 8_000 }, (_, n) => Math.sin(n * n));
  const stepper = new rooms.Fingerprinter(new rooms.Sound([noise], 8_000, LIMITS), {});
  while (stepper.step());
  const print = stepper.finish();
  return print.bytes().subarray(0, HEADER_BYTES);
}

function enrol(catalog, id, print) {
  catalog.enrol(id, "null", print, false);
  finish(catalog);
}

/** Times of `queries` prints against a catalogue: milliseconds by the clock and by the processor, and how many found their track. */
function ask(catalog, prints) {
  const [wall, processor] = [[], []];
  let found = 0;
  for (const [n, { print, id }] of prints.entries()) {
    const began = performance.now();
    let hits;
    const used = processorSeconds(() => {
      catalog.match(print, {});
      hits = finish(catalog);
    });
    if (id === undefined ? hits.length > 0 : hits[0]?.id === id) found++;
    // The first ones warm up.
    if (n < 3) continue;
    wall.push(performance.now() - began);
    processor.push(used * 1e3);
  }
  return { milliseconds: quartiles(wall), processorMilliseconds: quartiles(processor), found: `${found} of ${prints.length}` };
}

function queries(tracks) {
  const catalog = new rooms.Catalog({});
  const head = header();
  for (let n = 0; n < tracks; n++) enrol(catalog, `track ${n}`, rooms.Print.fromBytes(printOf(head, SECONDS, peaksOf(n))));
  const prints = Array.from({ length: count("queries") + 3 }, (_, n) => {
    const seed = Math.floor((n * tracks) / (count("queries") + 3));
    return { print: rooms.Print.fromBytes(excerptOf(head, seed, 8 * Math.floor(62.5 * (20 + n)))), id: `track ${seed}` };
  });
  const asEnrolled = ask(catalog, prints);
  const { segments, postings } = catalog.stats();
  catalog.compact();
  finish(catalog);
  return { tracks, postings, segments, asEnrolled, compacted: ask(catalog, prints) };
}

function crowd(size) {
  const catalog = new rooms.Catalog({});
  const head = header();
  const inside = peaksOf(1).filter(([t]) => t < 1_000);
  const print = rooms.Print.fromBytes(printOf(head, 2, inside));
  for (let n = 0; n < size; n++) enrol(catalog, `copy ${n}`, print);
  const { postings } = catalog.stats();
  return {
    size,
    postings,
    ...ask(
      catalog,
      Array.from({ length: 13 }, () => ({ print })),
    ),
  };
}
