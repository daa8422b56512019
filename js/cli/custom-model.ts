import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { OtolithError } from "../node.js";
import { type Call, text } from "./command.js";
import { describeError } from "./exit-status.js";

/** A model of the user's: what the engine's `models` option and `separate`'s `model` take. */
export interface CustomModel {
  readonly name: string;
  readonly models: Readonly<Record<string, { readonly manifest: Record<string, unknown>; readonly bytes: ArrayBuffer }>>;
}

/**
 * Reads a manifest and the model file beside it.
 * @param path a JSON file: one entry, or a manifest whose `models` holds one model of that kind, of that many stems if a number is given
 * @throws {OtolithError} `model-load` where the manifest or the file cannot be used
 */
export async function readCustomModel(path: string, kind: "separator" | "embedder", stems?: number): Promise<CustomModel> {
  const fail = (why: string, cause?: unknown) => new OtolithError("model-load", `${path}: ${why}`, { details: { path }, cause });
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw fail(`cannot be read as a manifest: ${describeError(cause).message}`, cause);
  }
  const entries = isRecord(content) && Array.isArray(content.models) ? content.models : [content];
  const fitting = entries.filter(
    (entry): entry is Record<string, unknown> =>
      isRecord(entry) && entry.kind === kind && (stems === undefined || stemsOf(entry) === stems),
  );
  const [entry] = fitting;
  if (!entry || fitting.length > 1) {
    const found = `${fitting.length} ${kind}s${stems === undefined ? "" : ` of ${stems} stems`}`;
    throw fail(`names ${found}: it must name one${kind === "separator" ? " (choose by --stems, or a manifest of its own)" : ""}`);
  }
  const { name, file } = entry;
  if (typeof name !== "string" || typeof file !== "string") throw fail("its entry needs a name and a file");
  try {
    const { buffer, byteOffset, byteLength } = await readFile(join(dirname(path), file));
    return { name, models: { [name]: { manifest: entry, bytes: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer } } };
  } catch (cause) {
    throw fail(`its file ${file} cannot be read: ${describeError(cause).message}`, cause);
  }
}

/** `--model` of the commands that take fingerprints. */
export const EMBEDDER_OPTION = {
  type: "string",
  value: "MANIFEST|NAME",
  help: "for neural: a model of your own by its manifest (.json, the file beside it), or a shipped one by name; default: the shipped one",
} as const;

/** The name of the embedder that `--model` gives, and what the engine has to be given for it. */
export async function embedderOption(call: Call): Promise<Partial<CustomModel>> {
  const chosen = text(call, "model");
  if (chosen?.endsWith(".json")) return readCustomModel(chosen, "embedder");
  return chosen === undefined ? {} : { name: chosen };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const stemsOf = (entry: Record<string, unknown>) => (Array.isArray(entry.stems) ? entry.stems.length : 0);
