// `npm test -- [--layer NAME]... [--filter TEXT] [--quick] [--verbose] [--no-system]`: set-up, then every test layer.
// The last line of its output is `N passed, N failed, N skipped`.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { readArguments } from "./arguments.mjs";
import { report, SetupFailure } from "./failure.mjs";
import { layers as ownLayers } from "./layers/index.mjs";
import { runLayers } from "./run-layers.mjs";
import { setUp } from "./setup.mjs";

const say = (line) => console.log(line);

/** Other layers in place of ours: how the runner itself is tested. Needs no set-up. */
async function layersFrom(file) {
  const { layers } = await import(pathToFileURL(resolve(file)).href);
  return layers;
}

async function chosenLayers(values) {
  if (values["layers-from"]) return layersFrom(values["layers-from"]);
  const machine = { allowSystem: !values["no-system"], say, verbose: values.verbose ?? false };
  const { toolchain, release } = await setUp({ ...machine, quick: values.quick });
  release();
  return ownLayers(toolchain, machine);
}

try {
  const { values } = readArguments({
    options: {
      layer: { type: "string", multiple: true },
      filter: { type: "string" },
      verbose: { type: "boolean" },
      quick: { type: "boolean" },
      "no-system": { type: "boolean" },
      "layers-from": { type: "string" },
    },
  });
  const all = await chosenLayers(values);
  const names = all.map(({ name }) => name);
  for (const name of values.layer ?? []) {
    if (!names.includes(name)) throw new SetupFailure(`--layer takes ${names.join(", ")}; got ${name}`, { status: 2 });
  }
  const chosen = values.layer ? all.filter(({ name }) => values.layer.includes(name)) : all;
  process.exitCode = await runLayers(chosen, {
    filter: values.filter,
    verbose: values.verbose,
    requireAll: process.env.OTOLITH_REQUIRE === "all",
    say,
  });
} catch (error) {
  process.exitCode = report(error);
}
