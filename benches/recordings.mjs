// Runs the main path over a folder of real recordings and prints what it found, as Markdown and (with --json) as JSON.
//
//   node benches/recordings.mjs SONG [--catalog FOLDER] [--clips N] [--json FILE]
//
// SONG is separated with one and with two workers in this run and checked against the decoded mix; its tempo is tracked. With a catalogue
// folder every file in it is enrolled, and excerpts of five seconds of each are matched after a round trip through MP3 at 64 kbit/s,
// which needs ffmpeg.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, parse } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { createEngine } from "otolith";

const EXCERPT_SECONDS = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { catalog: { type: "string" }, clips: { type: "string", default: "3" }, json: { type: "string" } },
});
if (positionals.length !== 1) {
  console.error("usage: node benches/recordings.mjs SONG [--catalog FOLDER] [--clips N] [--json FILE]");
  process.exit(2);
}
const song = pathToFileURL(positionals[0]);
const report = { separation: [], beats: null, matches: [] };

for (const workers of [1, 2]) {
  await withEngine({ workers }, async (engine) => {
    const mix = await engine.decode(song);
    const result = await engine.separate(song, { stems: 2 });
    report.separation.push({
      workers,
      seconds: result.seconds,
      secondsPerMinute: result.seconds / (result.duration / 60),
      sameLength: Object.values(result.stems).every((stem) => stem.channels.every((c) => c.length === mix.channels[0].length)),
      nullDbfs: nullAgainst(mix, Object.values(result.stems)),
      peakMemoryMB: [result.peakMemory.home, ...result.peakMemory.inference].map((bytes) => Math.round(bytes / 1e6)),
    });
  });
}

await withEngine({ workers: 1 }, async (engine) => {
  const started = performance.now();
  const { tempo, beats, method } = await engine.beats(song);
  report.beats = { tempo, beats: beats.length, method, seconds: (performance.now() - started) / 1000 };
  if (values.catalog !== undefined) report.matches = await matchExcerpts(engine, values.catalog, Number(values.clips));
});

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
printReport();

async function withEngine(options, work) {
  const engine = await createEngine(options);
  try {
    await work(engine);
  } finally {
    await engine.dispose();
  }
}

/** Peak of mix minus sum of stems, in dB of full scale. */
function nullAgainst(mix, stems) {
  let peak = 0;
  for (const [index, channel] of mix.channels.entries()) {
    for (let frame = 0; frame < channel.length; frame++) {
      let rest = channel[frame];
      for (const stem of stems) rest -= stem.channels[index][frame];
      peak = Math.max(peak, Math.abs(rest));
    }
  }
  return 20 * Math.log10(peak);
}

/** Enrols every file of the folder, then matches `clips` evenly spread excerpts of each after an MP3 round trip. */
async function matchExcerpts(engine, folder, clips) {
  const catalog = await engine.openCatalog({ name: "recordings" });
  const files = readdirSync(folder).sort();
  const durations = new Map();
  for (const file of files) {
    const print = await engine.fingerprint(pathToFileURL(join(folder, file)));
    durations.set(file, print.duration);
    await catalog.enrol(print, { id: parse(file).name });
  }
  const scratch = mkdtempSync(join(tmpdir(), "otolith-excerpts-"));
  const rows = [];
  try {
    for (const file of files) {
      for (let clip = 0; clip < clips; clip++) {
        const start = ((durations.get(file) - EXCERPT_SECONDS) * (clip + 0.5)) / clips;
        const excerpt = join(scratch, "excerpt.mp3");
        const cut = ["-ss", String(start), "-t", String(EXCERPT_SECONDS), "-i", join(folder, file)];
        execFileSync("ffmpeg", ["-v", "error", "-y", ...cut, "-b:a", "64k", excerpt]);
        const [hit] = await catalog.match(pathToFileURL(excerpt), { top: 1 });
        const found = hit?.id === parse(file).name;
        rows.push({ file, start, hit: found, offsetErrorMs: found ? (hit.offset - start) * 1000 : null, confidence: hit?.confidence ?? 0 });
      }
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return rows;
}

function printReport() {
  console.log("| workers | s per audio minute | null, dBFS | length kept | peak memory, MB: home, workers |\n|---|---|---|---|---|");
  for (const row of report.separation) {
    const cells = [row.workers, row.secondsPerMinute.toFixed(1), row.nullDbfs.toFixed(1), row.sameLength, row.peakMemoryMB.join(", ")];
    console.log(`| ${cells.join(" | ")} |`);
  }
  const { bpm, confidence, alternatives } = report.beats.tempo;
  const others = alternatives.map((other) => other.bpm.toFixed(1)).join(", ");
  console.log(
    `\n${report.beats.beats} beats, ${bpm?.toFixed(2)} BPM, confidence ${confidence.toFixed(2)}, then ${others} (${report.beats.method})`,
  );
  if (report.matches.length === 0) return;
  const hits = report.matches.filter((row) => row.hit);
  const errors = hits.map((row) => Math.abs(row.offsetErrorMs)).sort((a, b) => a - b);
  console.log(
    `\n${hits.length} of ${report.matches.length} excerpts found; offset error median ${errors[errors.length >> 1]?.toFixed(1)} ms, largest ${errors.at(-1)?.toFixed(1)} ms`,
  );
  for (const row of report.matches.filter((one) => !one.hit)) console.log(`missed: ${row.file} at ${row.start.toFixed(1)} s`);
}
