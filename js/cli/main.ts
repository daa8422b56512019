import { parseArgs } from "node:util";
import { createEngine, type Engine } from "../node.js";
import { packageVersion } from "../package-version.js";
import { activity } from "./activity.js";
import { beats } from "./beats.js";
import { type Call, type Command, UsageError, whole } from "./command.js";
import { enrol } from "./enrol.js";
import { describeError, ExitStatus, exitStatusOf } from "./exit-status.js";
import { fingerprint } from "./fingerprint.js";
import { commandHelp, commonOptions, generalHelp } from "./help.js";
import { inspect } from "./inspect.js";
import { match } from "./match.js";
import { models } from "./models.js";
import { separate } from "./separate.js";
import { Terminal } from "./terminal.js";

const commands: readonly Command[] = [separate, beats, activity, fingerprint, enrol, match, inspect, models];

/** Options of a command in the form that `node:util` takes; it throws on what it does not know. */
function parse(command: Command, args: readonly string[]) {
  const options = { ...command.options, ...commonOptions };
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

async function runCommand(command: Command, args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parse(command, args);
  const given = values as Call["values"];
  const terminal = new Terminal(process.stdout, process.stderr, given.json === true);
  if (given.help === true) {
    for (const line of commandHelp(command)) process.stdout.write(`${line}\n`);
    return ExitStatus.done;
  }
  let starting: Promise<Engine> | undefined;
  const call: Call = {
    positionals,
    values: given,
    terminal,
    signal,
    engine: (extra) => {
      starting ??= createEngine({
        ...(workers && { workers }),
        ...(extra && { models: extra }),
        logger: { warn: (message: string) => terminal.note(message) },
      });
      return starting;
    },
  };
  const workers = whole(call, "workers", 1, 32);
  try {
    return await command.run(call);
  } finally {
    await (await starting?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
}

async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version") {
    process.stdout.write(`${packageVersion}\n`);
    return ExitStatus.done;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const stream = name === undefined ? process.stderr : process.stdout;
    for (const line of generalHelp(commands)) stream.write(`${line}\n`);
    return name === undefined ? ExitStatus.usage : ExitStatus.done;
  }
  const command = commands.find((one) => one.name === name);
  if (!command) throw new UsageError(`there is no command ${JSON.stringify(name)}: use ${commands.map((one) => one.name).join(", ")}`);
  return runCommand(command, rest, signal);
}

const cancel = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => cancel.abort(new DOMException("cancelled", "AbortError"))); // the second one ends the process as usual
}
// The reader has gone (`otolith beats song.mp3 | head -1`): nothing is left to do, and it is nothing to complain about.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  cancel.abort(error);
});

let hasEnded = false;
process.on("exit", () => {
  if (hasEnded) return;
  // Node ends when nothing is left to wait for, even if a promise is still open: that must not look like success.
  process.stderr.write("otolith: ended before its work was done, which is a fault of otolith's: please report it\n");
  process.exitCode = ExitStatus.failed;
});

main(process.argv.slice(2), cancel.signal)
  .finally(() => {
    hasEnded = true;
  })
  .then(
    (status) => {
      process.exitCode = cancel.signal.aborted ? ExitStatus.failed : status;
    },
    (thrown: unknown) => {
      const { message } = describeError(thrown);
      const isClosedPipe = cancel.signal.aborted && cancel.signal.reason?.code === "EPIPE";
      if (!isClosedPipe) process.stderr.write(`otolith: ${message}${thrown instanceof UsageError ? " (see otolith --help)" : ""}\n`);
      process.exitCode = cancel.signal.aborted ? ExitStatus.failed : exitStatusOf(thrown);
    },
  );
