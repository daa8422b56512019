// Runs a program, keeps its output in .tools/log/ and shows it only where asked or on failure.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { SetupFailure } from "./failure.mjs";
import { logDir, root } from "./paths.mjs";

/** Children that are running, so that an interrupted parent leaves none behind. */
const running = new Set();

function stopAll(signal) {
  for (const child of running) {
    try {
      process.kill(-child.pid, signal);
    } catch {
      child.kill(signal);
    }
  }
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    stopAll(signal);
    process.exit(128 + { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal]);
  });
}

/**
 * Runs `command` to its end.
 * @param {string} command program, found on PATH
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, log?: string, verbose?: boolean, timeoutMs?: number }} [options]
 *   `log` names the file in .tools/log; `verbose` passes the output through; past `timeoutMs` the whole process group is killed
 * @returns {Promise<{ status: number | null, output: string, timedOut: boolean, log?: string, missing: boolean }>}
 */
export function run(command, args, { cwd = root, env = {}, log, verbose = false, timeoutMs } = {}) {
  return new Promise((resolve) => {
    let file;
    let stream;
    if (log) {
      mkdirSync(logDir, { recursive: true });
      file = join(logDir, `${log}.log`);
      stream = createWriteStream(file);
      stream.write(`$ ${[command, ...args].join(" ")}\n`);
    }
    const chunks = [];
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // its own process group: a timeout takes the grandchildren (browsers, rustc) along
    });
    running.add(child);
    let timedOut = false;
    const timer =
      timeoutMs &&
      setTimeout(() => {
        timedOut = true;
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          child.kill("SIGKILL");
        }
      }, timeoutMs);
    const take = (chunk) => {
      chunks.push(chunk);
      stream?.write(chunk);
      if (verbose) process.stderr.write(chunk);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const done = (status, missing) => {
      clearTimeout(timer);
      running.delete(child);
      stream?.end();
      resolve({ status, output: Buffer.concat(chunks).toString(), timedOut, log: file, missing });
    };
    child.on("error", (error) => done(null, error.code === "ENOENT"));
    child.on("close", (status) => done(status, false));
  });
}

/** Runs `command` and throws a {@link SetupFailure} with the end of its output unless it ends with status 0. */
export async function must(command, args, options = {}) {
  const result = await run(command, args, options);
  if (result.status === 0) return result;
  const why = result.missing
    ? `${command} was not found`
    : result.timedOut
      ? `${command} was stopped after ${options.timeoutMs / 1000} s`
      : `${[command, ...args.slice(0, 3)].join(" ")} ended with status ${result.status}`;
  const tail = options.verbose ? "" : `\n${result.output.trimEnd().split("\n").slice(-40).join("\n")}`;
  throw new SetupFailure(`${why}${tail}`, { status: 1, log: result.log });
}
