import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { OtolithError } from "../node.js";
import type { Call, Command } from "./command.js";
import { text, UsageError } from "./command.js";
import { describeError, ExitStatus } from "./exit-status.js";

/** What is read here of a manifest entry; the rest is the engine's. */
interface ManifestEntry {
  readonly name: string;
  readonly kind: string;
  readonly model_version: string;
  readonly licence: string;
  readonly stems?: readonly string[];
  readonly file?: string;
  readonly bytes?: number;
  readonly sha256?: string;
  readonly files?: readonly { readonly file: string; readonly bytes: number; readonly sha256: string }[];
}

/** `otolith models`: which models are shipped, and whether their files are what the manifest claims. */
export const models: Command = {
  name: "models",
  summary: "list the models, or verify their files",
  usage: ["models list [--dir DIR]", "models verify [--dir DIR]"],
  options: { dir: { type: "string", value: "DIR", help: "folder with a manifest.json; default: the package's models" } },
  run: async (call) => {
    const [action, ...rest] = call.positionals;
    if ((action !== "list" && action !== "verify") || rest.length > 0) throw new UsageError("models takes one word: list or verify");
    const given = text(call, "dir");
    const folder = given === undefined ? fileURLToPath(new URL("./models", import.meta.url)) : resolve(given);
    const entries = await readEntries(join(folder, "manifest.json"));
    return action === "list" ? list(call, entries) : verify(call, folder, entries);
  },
};

async function readEntries(path: string): Promise<readonly ManifestEntry[]> {
  try {
    const manifest = JSON.parse(await readFile(path, "utf8"));
    if (manifest?.schema !== 1 || !Array.isArray(manifest.models)) throw new Error(`schema is ${manifest?.schema}, read is 1`);
    return manifest.models;
  } catch (cause) {
    throw new OtolithError("model-load", `${path} is no manifest that is read here: ${describeError(cause).message}`, {
      details: { path },
      cause,
    });
  }
}

const filesOf = (entry: ManifestEntry) =>
  entry.files ?? [{ file: entry.file ?? "", bytes: entry.bytes ?? Number.NaN, sha256: entry.sha256 ?? "" }];

function list(call: Call, entries: readonly ManifestEntry[]): number {
  for (const { name, kind, model_version: version, licence, stems = [], ...entry } of entries) {
    const bytes = filesOf({ name, kind, model_version: version, licence, ...entry }).reduce((sum, file) => sum + file.bytes, 0);
    call.terminal.result({ name, kind, version, stems, bytes, licence }, [
      `${name} ${version}: ${kind}${stems.length > 0 ? ` (${stems.join(", ")})` : ""}, ${(bytes / 1e6).toFixed(1)} MB, ${licence}`,
    ]);
  }
  return ExitStatus.done;
}

async function verify(call: Call, folder: string, entries: readonly ManifestEntry[]): Promise<number> {
  let status: number = ExitStatus.done;
  for (const entry of entries) {
    for (const { file, bytes, sha256 } of filesOf(entry)) {
      call.signal.throwIfAborted();
      const wrong = await faultOf(join(folder, file), bytes, sha256);
      if (wrong) {
        status = ExitStatus.model;
        call.terminal.note(`${file}: ${wrong}`);
      }
      call.terminal.result({ name: entry.name, file, bytes, sha256, ok: wrong === undefined, ...(wrong && { error: wrong }) }, [
        `${file}: ${wrong === undefined ? "as the manifest claims" : "NOT as the manifest claims"}`,
      ]);
    }
  }
  return status;
}

/** What is wrong with a model file, or undefined. */
async function faultOf(path: string, bytes: number, sha256: string): Promise<string | undefined> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (cause) {
    return `cannot be read: ${describeError(cause).message}`;
  }
  if (content.length !== bytes) return `has ${content.length} bytes, the manifest says ${bytes}`;
  const digest = createHash("sha256").update(content).digest("hex");
  return digest === sha256 ? undefined : `has SHA-256 ${digest}, the manifest says ${sha256}`;
}
