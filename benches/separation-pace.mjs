// Seconds that a separation takes for a minute of sound, decoding included, by model and number of workers, in turns.
//
//   node benches/separation-pace.mjs SONG [--models separator-2,separator-5,separator-2-lite] [--workers 1,2] [--rounds 3]
//
// Needs a build (npm start -- --no-serve). Every run is an engine of its own, so loading the model counts; the first round warms up the disk and is
// left out. Printed are the median and all rounds of seconds by the clock, processor seconds of the whole process (which other programs do not
// lengthen), and the peak of a worker with the network in MiB.
import { loadavg } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createEngine } from "../dist/node.js";

const { values, positionals } = parseArgs({
  options: {
    models: { type: "string", default: "separator-2,separator-5,separator-2-lite" },
    workers: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "3" },
  },
  allowPositionals: true,
});
const [song] = positionals;
if (song === undefined || positionals.length > 1)
  throw new Error("usage: node benches/separation-pace.mjs SONG [--models A,B] [--workers 1,2] [--rounds 3]");
const sound = pathToFileURL(resolve(song));

const runs = values.models.split(",").flatMap((model) => values.workers.split(",").map((workers) => ({ model, workers: Number(workers) })));
const results = new Map(runs.map((run) => [run, []]));
for (let round = 0; round <= Number(values.rounds); round++)
  for (const run of runs) {
    const result = await separate(run);
    if (round > 0) results.get(run).push(result);
  }
for (const [{ model, workers }, rounds] of results) {
  const clock = rounds.map(({ seconds }) => seconds);
  console.log(
    `${model}, workers ${workers}: ${median(clock).toFixed(2)} s a minute (${clock.map((value) => value.toFixed(2)).join(", ")}),` +
      ` processor ${median(rounds.map(({ processor }) => processor)).toFixed(2)} s a minute, ${median(rounds.map(({ memory }) => memory)).toFixed(1)} MiB`,
  );
}
console.log(`load ${loadavg()[0].toFixed(1)}`);

async function separate({ model, workers }) {
  const engine = await createEngine({ workers });
  const [began, cpuBegan] = [performance.now(), process.cpuUsage()];
  const { duration, peakMemory } = await engine.separate(sound, { model });
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpuBegan);
  await engine.dispose();
  const minutes = duration / 60;
  return {
    seconds: seconds / minutes,
    processor: (user + system) / 1e6 / minutes,
    memory: Math.max(...peakMemory.inference) / 1024 ** 2,
  };
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
