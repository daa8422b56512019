import type { ParseArgsConfig } from "node:util";
import type { Engine, EngineOptions } from "../node.js";
import type { Terminal } from "./terminal.js";

/** One command of `otolith`: what it is called with and what it does. */
export interface Command {
  /** Its name, as typed. */
  readonly name: string;
  /** What it does, in one line of the general help. */
  readonly summary: string;
  /** What follows `otolith`, one line a form. */
  readonly usage: readonly string[];
  /** Its own options by name; `--json`, `--workers` and `--help` are every command's. */
  readonly options: Readonly<Record<string, OptionSpecification>>;
  /**
   * Does it. Throws {@link UsageError} for a wrong call.
   * @returns the exit status
   */
  run(call: Call): Promise<number>;
}

/** One option: how it is parsed and what the help says of it. */
export type OptionSpecification = NonNullable<ParseArgsConfig["options"]>[string] & {
  /** What the help says. */
  readonly help: string;
  /** Name of the value in the help, for an option that takes one. */
  readonly value?: string;
};

/** What a command is called with. */
export interface Call {
  /** What is not an option, in order. */
  readonly positionals: readonly string[];
  /** Values of the options that were given. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  /** Where results, progress and complaints go. */
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** The engine, started at the first call; `models` are added to the shipped ones. */
  engine(models?: EngineOptions["models"]): Promise<Engine>;
}

/** A wrong call: the message says what was given and what is taken. Exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The value of an option that takes one. */
export function text(call: Call, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === "string" ? value : undefined;
}

/** The value of an option that takes one of `allowed`. */
export function oneOf<T extends string>(call: Call, name: string, allowed: readonly T[]): T | undefined {
  const value = text(call, name);
  if (value === undefined) return undefined;
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new UsageError(`--${name} must be ${allowed.join(" or ")}, got ${JSON.stringify(value)}`);
  return found;
}

/** The value of an option that takes a whole number in `min..max`. */
export function whole(call: Call, name: string, min: number, max: number): number | undefined {
  const value = text(call, name);
  if (value === undefined) return undefined;
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new UsageError(`--${name} must be a whole number in ${min}..${max}, got ${JSON.stringify(value)}`);
  return number;
}

/** The value of an option that takes a number in `min..max`. */
export function decimal(call: Call, name: string, min: number, max: number): number | undefined {
  const value = text(call, name);
  if (value === undefined) return undefined;
  const number = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) throw new UsageError(`--${name} must be a number in ${min}..${max}, got ${JSON.stringify(value)}`);
  return number;
}
