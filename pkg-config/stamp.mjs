// Stamps: a step whose inputs did not change is not run again. A stamp is a SHA-256 over the path, size and content of a step's
// inputs plus the versions of the tools that read them; it is written only after the step has succeeded.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root, stampDir } from "./paths.mjs";

/** All files under `path` (a file or a folder), sorted, so that the digest does not depend on the file system's order. */
export function filesUnder(path, skip = () => false) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const full = join(path, entry.name);
      if (skip(full)) return [];
      return entry.isDirectory() ? filesUnder(full, skip) : [full];
    });
}

/**
 * Digest of a step's inputs.
 * @param {string[]} inputs files and folders, relative to the repository
 * @param {unknown} facts anything else the result depends on: tool versions, flags
 */
export function digest(inputs, facts) {
  const hash = createHash("sha256").update(JSON.stringify(facts ?? null));
  for (const input of inputs) {
    for (const file of filesUnder(join(root, input))) {
      const bytes = readFileSync(file);
      hash.update(`\0${relative(root, file)}\0${bytes.length}\0`).update(bytes);
    }
  }
  return hash.digest("hex");
}

const stampFile = (name) => join(stampDir, name);

/** Whether step `name` last succeeded with exactly this digest and all its `outputs` are still there. */
export function isFresh(name, value, outputs = []) {
  const file = stampFile(name);
  return existsSync(file) && readFileSync(file, "utf8") === value && outputs.every((output) => existsSync(output));
}

/** Records that step `name` has succeeded; written beside and renamed, so that a kill leaves the old stamp or the new one. */
export function writeStamp(name, value) {
  mkdirSync(stampDir, { recursive: true });
  const beside = `${stampFile(name)}.${process.pid}`;
  writeFileSync(beside, value);
  renameSync(beside, stampFile(name));
}
