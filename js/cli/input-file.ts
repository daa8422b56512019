import { readFile, stat } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type JobProgress, OtolithError } from "../node.js";
import { type Call, UsageError } from "./command.js";
import { describeError, ExitStatus, exitStatusOf } from "./exit-status.js";

/** The address of a file that is there. @throws {OtolithError} `invalid-input` where it is not, or is no file */
export async function inputUrl(path: string): Promise<URL> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!found.isFile()) throw new OtolithError("invalid-input", `${path} is not a file: name a sound file`);
  return pathToFileURL(resolve(path));
}

/** The bytes of a file that is there. @throws {OtolithError} `invalid-input` where it is not, or is no file */
export async function inputBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = await inputUrl(path);
  const bytes = await readFile(url).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return new Uint8Array(bytes);
}

function unreadable(path: string, cause: unknown): OtolithError {
  return new OtolithError("invalid-input", `${path} cannot be read: ${describeError(cause).message}`, { cause });
}

/** A file's name without folder and extension: what stems and tracks are called after. */
export const titleOf = (path: string): string => basename(path, extname(path));

/**
 * Does `work` on each input in turn. One that fails is complained about and does not stop the others; Ctrl-C stops all.
 * @param key name of the input in the JSON document of a failed one
 * @returns the exit status of the first failure, else that of success
 */
export async function eachInput(
  call: Call,
  key: "file" | "query",
  inputs: readonly string[],
  work: (input: string) => Promise<void>,
): Promise<number> {
  if (inputs.length === 0) throw new UsageError("name at least one file");
  let status: number = ExitStatus.done;
  for (const input of inputs) {
    try {
      await work(input);
    } catch (thrown) {
      call.signal.throwIfAborted();
      const error = describeError(thrown);
      call.terminal.note(`${input}: ${error.message}`);
      call.terminal.result({ [key]: input, error }, []);
      if (status === ExitStatus.done) status = exitStatusOf(thrown);
    }
  }
  return status;
}

/** What came of an input: one JSON document, or lines for people. */
export interface InputResult {
  readonly document: unknown;
  readonly lines: readonly string[];
}

/**
 * Does `work` on many inputs, as many at once as there are workers and one that waits; results come in the order of the inputs. Progress is
 * that of the one input, or the number of inputs done. One that fails is complained about and does not stop the others; Ctrl-C stops all.
 * @returns the exit status of the first failure, else that of success
 */
export async function manyInputs<T extends { readonly path: string }>(
  call: Call,
  key: "file" | "query",
  inputs: readonly T[],
  work: (input: T, onProgress: (progress: JobProgress) => void) => Promise<InputResult>,
): Promise<number> {
  const { workers } = await call.engine();
  const [only] = inputs;
  const show = call.terminal.progress(inputs.length === 1 && only ? only.path : `${inputs.length} files`);
  const outcomes: (() => number)[] = [];
  let status: number = ExitStatus.done;
  let [taken, done, shown] = [0, 0, 0];
  const began = performance.now();
  const one = async () => {
    for (let index = taken++; index < inputs.length && !call.signal.aborted; index = taken++) {
      const input = inputs[index];
      if (!input) return;
      outcomes[index] = await work(input, inputs.length === 1 ? show : () => {}).then(
        ({ document, lines }) => {
          return () => {
            call.terminal.result(document, lines);
            return ExitStatus.done;
          };
        },
        (thrown: unknown) => () => {
          const error = describeError(thrown);
          call.terminal.note(`${input.path}: ${error.message}`);
          call.terminal.result({ [key]: input.path, error }, []);
          return exitStatusOf(thrown);
        },
      );
      done += 1;
      if (call.signal.aborted) return;
      for (let tell = outcomes[shown]; tell; tell = outcomes[shown]) {
        const own = tell();
        if (status === ExitStatus.done) status = own;
        shown += 1;
      }
      if (inputs.length === 1) continue;
      const elapsedMs = performance.now() - began;
      show({ phase: "analyze", done, total: inputs.length, elapsedMs, etaMs: (elapsedMs / done) * (inputs.length - done) });
    }
  };
  await Promise.all(Array.from({ length: Math.min(inputs.length, workers + 1) }, one));
  call.signal.throwIfAborted();
  return status;
}

/** Seconds since `began`, a value of `performance.now()`, to the millisecond. */
export const secondsSince = (began: number): number => Math.round(performance.now() - began) / 1000;
