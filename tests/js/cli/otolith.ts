// The built command line, as a shell starts it.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The repository. */
export const root = new URL("../../..", import.meta.url).pathname;
/** The script that the package's `bin` names. */
export const cli = join(root, "dist/cli.js");
/** A fresh folder for a test's files. */
export const scratch = (): string => mkdtempSync(join(tmpdir(), "otolith-cli-"));

/** One run of the command line. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output under `--json`: one document a line. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents whose shape is what they check
  readonly documents: readonly any[];
}

/** Runs `otolith` with these arguments to its end. */
export function otolith(...args: string[]): Run {
  const result: SpawnSyncReturns<string> = spawnSync(process.execPath, [cli, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    timeout: 170_000,
  });
  const lines = args.includes("--json") ? result.stdout.split("\n").filter(Boolean) : [];
  return { status: result.status, stdout: result.stdout, stderr: result.stderr, documents: lines.map((line) => JSON.parse(line)) };
}

/**
 * A copy of one of the small networks of tests/data/models with a manifest of its own: "mask-quarters" gives each stem a quarter of the
 * mix before consistency, so that separation takes no minutes of arithmetic.
 * @returns the path of the manifest and of the model file beside it
 */
export function fixtureModel(name: string): { readonly manifest: string; readonly file: string } {
  const source = join(root, "tests/data/models");
  const { models } = JSON.parse(readFileSync(join(source, "manifest.json"), "utf8"));
  const entry = models.find((one: { name: string }) => one.name === name);
  const folder = scratch();
  copyFileSync(join(source, entry.file), join(folder, entry.file));
  const manifest = join(folder, "manifest.json");
  writeFileSync(manifest, JSON.stringify({ schema: 1, models: [entry] }));
  return { manifest, file: join(folder, entry.file) };
}
