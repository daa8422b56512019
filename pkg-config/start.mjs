// `npm start [-- FILE] [--no-serve] [--port N] [--quick] [--verbose] [--no-system]`: set-up and build, the main job on a song, a short table,
// then the playground.
import { existsSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { readArguments } from "./arguments.mjs";
import { report, SetupFailure } from "./failure.mjs";
import { runMainJob } from "./main-job.mjs";
import { root } from "./paths.mjs";
import { serve } from "./serve.mjs";
import { setUp } from "./setup.mjs";
import { seconds } from "./step.mjs";

const example = join(root, "www/public/example.flac");
const firstPort = 4173;

/** The playground at the asked port, else at the first free one from 4173 on. */
async function servePlayground(asked) {
  const ports = asked === undefined ? [firstPort, firstPort + 1, firstPort + 2, 0] : [asked];
  for (const port of ports) {
    try {
      return await serve({ folders: ["www/dist"], port });
    } catch (error) {
      if (error.code !== "EADDRINUSE" || port === ports.at(-1)) throw error;
    }
  }
}

try {
  const { values, positionals } = readArguments({
    allowPositionals: true,
    options: {
      "no-serve": { type: "boolean" },
      port: { type: "string" },
      verbose: { type: "boolean" },
      quick: { type: "boolean" },
      "no-system": { type: "boolean" },
    },
  });
  const file = positionals[0] === undefined ? example : resolve(process.env.INIT_CWD ?? ".", positionals[0]);
  if (positionals.length > 1) throw new SetupFailure(`npm start takes one file, got ${positionals.length}`, { status: 2 });
  if (!existsSync(file)) throw new SetupFailure(`${file} does not exist: name a sound file`, { status: 2 });
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port < 65536))
    throw new SetupFailure(`--port must be in 0..65535, got ${values.port}`, { status: 2 });

  const began = performance.now();
  const { release } = await setUp({
    verbose: values.verbose ?? false,
    allowSystem: !values["no-system"],
    say: (line) => console.log(line),
  });
  release();
  console.log(
    `ready after ${seconds(performance.now() - began)}; main job on ${relative(root, file).startsWith("..") ? file : relative(root, file)}`,
  );
  const rows = await runMainJob(file, join(root, "out"));
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${basename(file)}`);
  for (const [name, ...cells] of rows) console.log(`  ${name.padEnd(width)}  ${cells.join("  ")}`);
  if (!values["no-serve"]) {
    const { url } = await servePlayground(port);
    console.log(`\nplayground: ${url}   (Ctrl-C ends it)`);
  }
} catch (error) {
  process.exitCode = report(error);
}
