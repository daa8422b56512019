// How long a separation takes to end once it is cancelled, phase by phase, with the shipped model.
//
//   node benches/cancel.mjs SONG [--rounds N]
//
// Needs a build (npm start -- --no-serve). Prints milliseconds from the cancel to the rejection: median, 95th percentile, most.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createEngine } from "../dist/node.js";

const { values, positionals } = parseArgs({ options: { rounds: { type: "string", default: "20" } }, allowPositionals: true });
const [file] = positionals;
if (!file) throw new Error("name a song: node benches/cancel.mjs SONG");
const song = pathToFileURL(resolve(file));

/** Milliseconds to the rejection of a job that is cancelled when it first reports `phase`, or while it waits. */
async function latency(engine, phase) {
  const first = phase === "queued" ? engine.separate(song) : undefined;
  let at;
  const cancel = () => {
    at = performance.now();
    job.cancel("enough");
  };
  // In the middle of a chunk rather than at its start, where the worker would have to hear of it anyway.
  const job = engine.separate(song, {
    onProgress: ({ phase: now, done }) => at === undefined && now === phase && (phase !== "infer" || done > 0.3) && cancel(),
  });
  if (first) {
    await new Promise((settle) => setTimeout(settle, 50));
    cancel();
  }
  const reason = await job.then(
    () => "it was done before",
    (thrown) => thrown,
  );
  const waited = performance.now() - at;
  if (reason !== "enough") throw new Error(`${phase}: ${reason}`);
  first?.cancel();
  await first?.catch(() => {});
  return waited;
}

const table = {};
for (const phase of ["queued", "download", "decode", "verify", "load", "infer"]) {
  const waits = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // Fresh: model and program are fetched and checked once an engine.
    const engine = await createEngine({ workers: 1 });
    try {
      waits.push(await latency(engine, phase));
    } finally {
      await engine.dispose();
    }
  }
  waits.sort((a, b) => a - b);
  const at = (share) => Math.round(waits[Math.min(waits.length - 1, Math.floor(share * waits.length))] * 10) / 10;
  table[phase] = { median: at(0.5), p95: at(0.95), most: at(1) };
}
console.table(table);
