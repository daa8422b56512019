import type { Command, OptionSpecification } from "./command.js";

const common: Readonly<Record<string, OptionSpecification>> = {
  json: { type: "boolean", help: "print one JSON document a line for each input, and nothing else, on standard output" },
  workers: { type: "string", value: "N", help: "worker threads, 1..32; default: one less than there are processors, at most 4" },
  help: { type: "boolean", short: "h", help: "show this" },
};

/** Options of every command. */
export const commonOptions = common;

const statuses = "Exit status: 0 done, 1 failed or cancelled, 2 wrong call, 3 bad input, 4 limit exceeded, 5 model problem.";

/** What `otolith --help` prints. */
export function generalHelp(commands: readonly Command[]): string[] {
  return [
    "otolith COMMAND ... : music listening from the command line",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`),
    "",
    "otolith COMMAND --help shows a command's options; otolith --version the version.",
    statuses,
  ];
}

/** What `otolith COMMAND --help` prints. */
export function commandHelp({ summary, usage, options }: Command): string[] {
  return [
    ...usage.map((form) => `otolith ${form}`),
    "",
    `${summary}.`,
    "",
    ...Object.entries({ ...options, ...common }).map(
      ([name, { value, help }]) => `  --${`${name}${value ? ` ${value}` : ""}`.padEnd(24)} ${help}`,
    ),
    "",
    statuses,
  ];
}
