// Memory of a separation's workers by the length of the file: 3 minutes against 30.
//
//   node benches/separation-memory.mjs [--minutes 3,30] [--model separator-2-lite] [--workers 2] [--fixture]
//
// Needs a build (npm start -- --no-serve). The file is a stereo WAV of noise at 44.1 kHz on disk, its segments are read and let go (collect:
// false). --fixture runs a network of constant masks in place of a trained one: the worker at home does the same work, the others next to none.
// Prints MiB for each length and the ratios; the bar is 1.05.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createEngine } from "../dist/node.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "3,30" },
    model: { type: "string", default: "separator-2-lite" },
    workers: { type: "string", default: "2" },
    fixture: { type: "boolean", default: false },
  },
});
const rate = 44_100;
const MIB = 1024 ** 2;

/** A WAV file of 16-bit stereo: one minute of noise, again and again. */
function writeSong(path, minutes) {
  const minute = new Int16Array(2 * 60 * rate);
  let state = 1;
  for (let n = 0; n < minute.length; n++) {
    state = (state * 48271) % 2147483647;
    minute[n] = (state / 2147483647 - 0.5) * 16_000;
  }
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + minutes * minute.byteLength, 4);
  header.write("WAVEfmt ", 8);
  for (const [at, value] of [
    [16, 16],
    [24, rate],
    [28, 4 * rate],
    [40, minutes * minute.byteLength],
  ])
    header.writeUInt32LE(value, at);
  for (const [at, value] of [
    [20, 1],
    [22, 2],
    [32, 4],
    [34, 16],
  ])
    header.writeUInt16LE(value, at);
  header.write("data", 36);
  const file = openSync(path, "w");
  writeSync(file, header);
  for (let count = 0; count < minutes; count++) writeSync(file, minute);
  closeSync(file);
}

function fixture() {
  const folder = new URL("../tests/data/models/", import.meta.url);
  const { models } = JSON.parse(readFileSync(new URL("manifest.json", folder), "utf8"));
  const manifest = models.find(({ name }) => name === "mask-quarters");
  return { manifest, bytes: new Uint8Array(readFileSync(fileURLToPath(new URL(manifest.file, folder)))).buffer };
}

const folder = mkdtempSync(join(tmpdir(), "otolith-memory-"));
const table = {};
try {
  for (const minutes of values.minutes.split(",").map(Number)) {
    const path = join(folder, `${minutes}.wav`);
    writeSong(path, minutes);
    // Fresh workers: linear memory never shrinks.
    const engine = await createEngine({ workers: Number(values.workers), ...(values.fixture && { models: { quarters: fixture() } }) });
    const job = engine.separate(pathToFileURL(path), { model: values.fixture ? "quarters" : values.model, collect: false });
    for await (const _ of job);
    const { peakMemory, chunks, seconds } = await job;
    const { memory } = await engine.estimate(
      { duration: 60 * minutes, sampleRate: rate, channels: 2, bytes: 44 + minutes * 240 * rate },
      { model: values.fixture ? "quarters" : values.model, collect: false },
    );
    table[`${minutes} min`] = {
      home: peakMemory.home / MIB,
      held: peakMemory.held / MIB,
      inference: Math.max(...peakMemory.inference) / MIB,
      "home / estimate": peakMemory.home / memory.home,
      chunks,
      "s per min": seconds / minutes,
    };
    await engine.dispose();
    rmSync(path);
  }
} finally {
  rmSync(folder, { recursive: true });
}
const rows = Object.values(table);
const ratio = (column) => rows.at(-1)[column] / rows[0][column];
table["last / first"] = { home: ratio("home"), inference: ratio("inference"), "s per min": ratio("s per min") };
for (const row of Object.values(table)) for (const key of Object.keys(row)) row[key] = Math.round(row[key] * 1000) / 1000;
console.table(table);
console.log(`load during the run: ${loadavg()[0].toFixed(1)}`);
