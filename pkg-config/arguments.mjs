// Options of our own scripts: a wrong one is status 2 and a sentence, not a stack.
import { parseArgs } from "node:util";
import { SetupFailure } from "./failure.mjs";

/** As `parseArgs` of `node:util`. @throws {SetupFailure} status 2 */
export function readArguments(config) {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new SetupFailure(error.message, { status: 2 });
  }
}
