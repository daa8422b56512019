// How the command line answers a call that is not right, and how it explains itself.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { otolith, root } from "./otolith.js";

const commands = ["separate", "beats", "activity", "fingerprint", "enrol", "match", "inspect", "models"];

test("--version prints the package's version", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { status, stdout } = otolith("--version");
  expect([status, stdout]).toEqual([0, `${version}\n`]);
});

test("--help names every command on standard output", () => {
  const { status, stdout } = otolith("--help");
  expect(status).toBe(0);
  for (const command of commands) expect(stdout).toContain(`  ${command} `);
});

test("no command at all is a usage error that shows the help on standard error", () => {
  const { status, stdout, stderr } = otolith();
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("separate");
});

test.each(commands)("%s --help shows its form and the common options, and starts nothing", (command) => {
  const { status, stdout, stderr } = otolith(command, "--help");
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`otolith ${command}`);
  expect(stdout).toContain("--json");
});

describe("a wrong call has status 2, a sentence on standard error and nothing on standard output", () => {
  test.each([
    [["beat"], "there is no command"],
    [["beats"], "at least one file"],
    [["beats", "a.wav", "--method", "magic"], "--method must be auto or tcn or flux"],
    [["beats", "a.wav", "--speed", "2"], "--speed"],
    [["beats", "a.wav", "--workers", "0"], "--workers must be a whole number in 1..32"],
    [["beats", "a.wav", "--workers"], "--workers"],
    [["separate", "a.wav"], "--out"],
    [["separate", "a.wav", "--out", "o", "--stems", "3"], "--stems must be 2 or 5"],
    [["separate", "a.wav", "--out", "o", "--format", "mp3"], "--format must be"],
    [["separate", "x/a.wav", "y/a.flac", "--out", "o"], "would both write"],
    [["fingerprint", "a.wav"], "--out"],
    [["fingerprint", "a.wav", "b.wav", "--out", "o"], "takes one file"],
    [["fingerprint", "a.wav", "--out", "o", "--algorithm", "chroma"], "--algorithm must be wang or panako or haitsma or neural"],
    [["fingerprint", "a.wav", "--out", "o", "--silence=-10"], "--silence must be a number in -100..-20"],
    [["enrol", "catalog"], "at least one sound file"],
    [["enrol", "catalog", "a.wav", "b.wav", "--id", "one"], "--id names one song"],
    [["match", "catalog"], "at least one clip"],
    [["match", "catalog", "a.wav", "--top", "0"], "--top must be a whole number"],
    [["inspect"], "at least one file"],
    [["inspect", "f", "--hashes", "-1"], "hashes"],
    [["models"], "list or verify"],
    [["models", "train"], "list or verify"],
  ])("otolith %j", (args, sentence) => {
    const { status, stdout, stderr } = otolith(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(sentence);
    expect(stderr, "no stack trace").not.toContain("    at ");
  });
});
