import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { OtolithError } from "../node.js";
import { describeError } from "./exit-status.js";

/** A model of the user's: what the engine's `models` option and `separate`'s `model` take. */
export interface CustomModel {
  readonly name: string;
  readonly models: Readonly<Record<string, { readonly manifest: Record<string, unknown>; readonly bytes: ArrayBuffer }>>;
}

/**
 * Reads a manifest and the model file beside it.
 * @param path a JSON file: one entry, or a manifest whose `models` holds one separator, of that many stems if a number is given
 * @throws {OtolithError} `model-load` where the manifest or the file cannot be used
 */
export async function readCustomModel(path: string, stems: number | undefined): Promise<CustomModel> {
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
      isRecord(entry) && entry.kind === "separator" && (stems === undefined || stemsOf(entry) === stems),
  );
  const [entry] = fitting;
  if (!entry || fitting.length > 1) {
    const found = `${fitting.length} separators${stems === undefined ? "" : ` of ${stems} stems`}`;
    throw fail(`names ${found}: it must name one (choose by --stems, or a manifest of its own)`);
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

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const stemsOf = (entry: Record<string, unknown>) => (Array.isArray(entry.stems) ? entry.stems.length : 0);
