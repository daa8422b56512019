// Ctrl-C, a file that is cut while it is read, and a reader that goes away.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli, fixtureModel, scratch } from "./otolith.js";
import { clicks, noise, writeWav } from "./sounds.js";

/** Starts `otolith` and gives its process and what it has said on standard error so far. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [cli, ...args]);
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const ended = new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.on("close", (status, signal) => resolve({ status, signal })),
  );
  return { child, said: () => said, ended };
}

/** Resolves when a run says that it is in `phase`, or ends before. */
const reached = (run: ReturnType<typeof start>, phase: string) =>
  new Promise<void>((resolve) => {
    run.child.stderr.on("data", () => {
      if (run.said().includes(`: ${phase}`)) resolve();
    });
    void run.ended.then(() => resolve());
  });

describe("Ctrl-C", () => {
  test.each(["decode", "infer"])("while the phase is %s: the job is cancelled, nothing is left behind, status 1", async (phase) => {
    const folder = scratch();
    const file = writeWav(join(folder, "long.wav"), [noise(240, 44100, 1), noise(240, 44100, 2)], 44100);
    const out = join(folder, "out");
    const run = start("separate", file, "--out", out, "--model", fixtureModel("mask-quarters").manifest);
    await reached(run, phase);
    run.child.kill("SIGINT");
    expect(await run.ended).toEqual({ status: 1, signal: null });
    expect(run.said()).toContain("cancelled");
    const left = existsSync(out) ? readdirSync(out, { recursive: true }) : [];
    expect(left.filter((name) => String(name).endsWith(".partial"))).toEqual([]);
    expect(left.filter((name) => String(name).endsWith(".wav"))).toEqual([]);
  });
});

test("a file that is cut while it is decoded is bad input, status 3, and what to do is said", async () => {
  const folder = scratch();
  const file = writeWav(join(folder, "cut.wav"), [noise(240, 44100, 1), noise(240, 44100, 2)], 44100);
  const out = join(folder, "out");
  const run = start("separate", file, "--out", out, "--model", fixtureModel("mask-quarters").manifest);
  await reached(run, "decode");
  truncateSync(file, 1_000_000);
  expect(await run.ended, run.said()).toEqual({ status: 3, signal: null });
  expect(run.said()).toContain(`the file could not be read: ${file}: it has become shorter; it must be there, readable and unchanged`);
  expect(run.said()).not.toContain("    at ");
  expect(existsSync(out)).toBe(false);
});

test("a reader that closes the pipe ends the command quietly", async () => {
  const folder = scratch();
  const files = [1, 2, 3, 4].map((n) => writeWav(join(folder, `${n}.wav`), [clicks(6, 22050, 110 + n)], 22050));
  const run = start("beats", ...files, "--json");
  run.child.stdout.once("data", () => run.child.stdout.destroy());
  const { status, signal } = await run.ended;
  expect(signal).toBeNull();
  expect(status).toBe(1);
  expect(run.said()).not.toMatch(/EPIPE| {4}at /);
});
