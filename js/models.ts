import type { NetworkFiles } from "./beat-network.js";
import { messageOf, OtolithError } from "./errors.js";
import type { JobContext } from "./job.js";
import type { ModelCache } from "./model-cache.js";
import { manifestJson, modelFile } from "./model-files.js";
import { OptionReader, show } from "./options.js";
import { packageVersion } from "./package-version.js";
import type { Platform } from "./platform.js";
import { isWebPage, readBody } from "./response.js";
import type { WorkerLink } from "./worker/link.js";

/**
 * Where model files are fetched from, and which: a base URL that holds the package's files under their names; a function from a file's
 * name to its URL; or an object by model name, in which a string pins a version that the manifest knows and an object adds a model of
 * your own.
 */
export type ModelsOption = string | URL | ((file: string) => string | URL) | Readonly<Record<string, string | CustomModel>>;

/** A model of your own: any ONNX file that keeps one of the contracts, with its manifest entry. Its licence is yours to check. */
export interface CustomModel {
  /** The manifest entry, as in `models/manifest.json`. Of a model in hand `bytes` and `sha256` may be absent; they are then computed. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** The ONNX file, or where to fetch it. */
  readonly bytes: ArrayBuffer | Blob | URL;
}

/** A manifest entry once Rust has checked it and filled in what it may leave out. @internal */
export interface ModelEntry {
  readonly name: string;
  readonly kind: string;
  readonly model_version: string;
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly stems: readonly string[];
  /** Hertz. */
  readonly sample_rate: number;
  /** Details of its contract. */
  readonly parameters?: { readonly samples?: number | null; readonly frames?: number | null; readonly hop?: number };
}

/** One file of a model of several. */
interface GraphFile {
  readonly role: string;
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A model of several files, which stand in place of `file`, `bytes` and `sha256`. */
interface GraphsEntry extends Omit<ModelEntry, "stems"> {
  readonly contract: string;
  readonly files?: readonly GraphFile[];
}

/** What a separation says about its model. @internal */
export interface SeparatorChoice {
  readonly stems?: number;
  readonly model?: string;
}

/** A model chosen for a job, not yet fetched. @internal */
export interface ChosenModel {
  readonly entry: ModelEntry;
  readonly source: ArrayBuffer | Blob | URL;
  /** Name in the cache: a custom model may be called what a later package ships. */
  readonly key: string;
  readonly custom: boolean;
}

interface ManifestDocument {
  readonly schema: number;
  readonly models: readonly (ModelEntry & { readonly previous?: readonly Partial<ModelEntry>[] })[];
}

/** Names of the models for a number of stems, best first: the first that the manifest has is used. */
const BY_STEMS: Readonly<Record<number, readonly string[]>> = { 2: ["separator-2", "separator-2-lite"], 5: ["separator-5"] };

/** The models an engine knows: the package's own and those it was given. @internal */
export class Models {
  readonly #platform: Platform;
  readonly #cache: ModelCache;
  readonly #locate: (file: string) => URL | undefined;
  readonly #pinned = new Map<string, string>();
  readonly #custom = new Map<string, CustomModel>();
  /** Files that have been verified, for workers that start later. */
  readonly #verified = new Map<string, ArrayBuffer>();
  #manifest: ManifestDocument | undefined;

  /** Checks the `models` option of `createEngine`. */
  constructor(option: unknown, platform: Platform, cache: ModelCache) {
    this.#platform = platform;
    this.#cache = cache;
    this.#locate = modelFile;
    if (typeof option === "string" || option instanceof URL) {
      const base = new URL(option, platform.baseUrl);
      this.#locate = (file) => new URL(file, base);
    } else if (typeof option === "function") {
      this.#locate = (file) => new URL(option(file) as string | URL, platform.baseUrl);
    } else if (option !== undefined) this.#readEntries(option);
  }

  /**
   * Name of the model for `stems` and `model` of a separation's options, and the stems that its manifest says it gives. Nothing is fetched
   * or checked yet.
   * @throws {OtolithError} `model-load` if there is none
   */
  find(options: SeparatorChoice): { readonly name: string; readonly stems: number } {
    const shipped = (JSON.parse(manifestJson) as ManifestDocument).models.filter(({ kind }) => kind === "separator");
    const known = [...shipped.map(({ name }) => name), ...this.#custom.keys()];
    const wanted = options.model === undefined ? (BY_STEMS[options.stems ?? 2] ?? []) : [options.model];
    const name = wanted.find((one) => known.includes(one));
    if (name === undefined) {
      const asked =
        options.model === undefined
          ? `no model for ${options.stems ?? 2} stems is shipped`
          : `there is no separator ${show(options.model)}`;
      const advice = known.length === 0 ? "add one by createEngine({ models })" : `known are ${known.join(", ")}`;
      throw new OtolithError("model-load", `${asked}; ${advice}`, { details: { known } });
    }
    const entry: Record<string, unknown> = { ...(this.#custom.get(name)?.manifest ?? shipped.find((one) => one.name === name)) };
    // What is no list is refused with the rest of the manifest's faults, in `choose`.
    const stems = Array.isArray(entry.stems) ? stemCount(entry.stems, entry.residual) : (options.stems ?? 0);
    if (options.stems !== undefined && stems !== options.stems)
      throw new TypeError(`options.stems is ${options.stems}, but model ${name} gives ${stems}: leave one of the two out`);
    return { name, stems };
  }

  /** The model for `stems` and `model` of a separation's options. */
  async choose(options: SeparatorChoice, home: WorkerLink): Promise<ChosenModel> {
    const manifest = await this.#read(home);
    const { name } = this.find(options);
    const custom = this.#custom.get(name);
    const chosen = custom ? await this.#adopt(name, custom, home) : this.#shipped(name, manifest);
    const { kind } = chosen.entry;
    if (kind !== "separator") throw new OtolithError("model-load", `model ${name} is of kind ${kind}, a separation needs a separator`);
    return chosen;
  }

  /** The model's bytes: from the cache or its address, verified in either case. */
  async fetch({ entry, source, key }: ChosenModel, home: WorkerLink, job: JobContext): Promise<ArrayBuffer> {
    const verified = this.#verified.get(entry.sha256);
    if (verified) return verified;
    const bytes =
      source instanceof URL ? await this.#download(entry, source, key, home, job) : await this.#inHand(entry, source, home, job);
    this.#verified.set(entry.sha256, bytes);
    return bytes;
  }

  /**
   * The files by role of the shipped model of this kind and contract, in its pinned version, each verified; undefined if none is shipped.
   * `key` is the same for the same bytes.
   */
  async fetchGraphs(
    kind: string,
    contract: string,
    home: WorkerLink,
    job: JobContext,
  ): Promise<{ key: string; entry: string; files: Readonly<Record<string, ArrayBuffer>> } | undefined> {
    const manifest = await this.#read(home);
    const models = manifest.models as readonly unknown[] as readonly GraphsEntry[];
    const name = models.find((one) => one.kind === kind && one.contract === contract)?.name;
    if (name === undefined) return undefined;
    const { files = [], ...rest } = this.#pinnedEntry(name, manifest) as unknown as GraphsEntry;
    const found: Record<string, ArrayBuffer> = {};
    for (const { role, ...file } of files) {
      // As an entry of one file it is fetched, verified and kept like any other.
      const single = { ...rest, ...file } as unknown as ModelEntry;
      found[role] = await this.fetch({ entry: single, source: this.#source(single), key: `${name}/${role}`, custom: false }, home, job);
    }
    const key = files.map(({ sha256 }) => sha256).join(" ");
    return { key, entry: JSON.stringify({ ...rest, files }), files: found };
  }

  /** The embedder of this name, or the first that there is, fetched and verified. `key` is the same for the same bytes. */
  async fetchEmbedder(asked: string | undefined, home: WorkerLink, job: JobContext): Promise<NetworkFiles> {
    const manifest = await this.#read(home);
    const shipped = manifest.models.filter(({ kind }) => kind === "embedder").map(({ name }) => name);
    const given = [...this.#custom]
      .filter(
        ([
          ,
          {
            manifest: { kind },
          },
        ]) => kind === "embedder",
      )
      .map(([name]) => name);
    const known = [...shipped, ...given];
    const name = asked ?? known[0];
    if (name === undefined || !known.includes(name)) {
      const what = `algorithm neural needs a model of kind embedder, ${asked === undefined ? "and none is shipped" : `${show(asked)} is none`}`;
      const advice = known.length === 0 ? "add one by createEngine({ models })" : `known are ${known.join(", ")}`;
      throw new OtolithError("model-load", `${what}; ${advice}`, { details: { known } });
    }
    const custom = this.#custom.get(name);
    const chosen = custom ? await this.#adopt(name, custom, home) : this.#shipped(name, manifest);
    const files = { model: await this.fetch(chosen, home, job) };
    return { key: chosen.entry.sha256, entry: JSON.stringify(chosen.entry), files };
  }

  /** Bytes that {@link Models.fetch} would have to fetch. */
  async missingBytes({ entry, source, key }: ChosenModel): Promise<number> {
    const isHere = !(source instanceof URL) || source.protocol === "file:" || this.#verified.has(entry.sha256);
    return isHere || (await this.#cache.get(key, entry.sha256)) ? 0 : entry.bytes;
  }

  async #inHand(entry: ModelEntry, source: ArrayBuffer | Blob, home: WorkerLink, job: JobContext): Promise<ArrayBuffer> {
    const bytes = await contentOf(entry.name, source);
    await verify(entry, bytes, home, job);
    return bytes;
  }

  async #download(entry: ModelEntry, url: URL, key: string, home: WorkerLink, job: JobContext): Promise<ArrayBuffer> {
    const kept = await this.#cache.get(key, entry.sha256);
    if (kept) {
      try {
        await verify(entry, kept, home, job);
        return kept;
      } catch (thrown) {
        if (!isModelError(thrown)) throw thrown;
        // Altered in storage: the address may still have it right.
        await this.#cache.delete(key, entry.sha256);
      }
    }
    const bytes = await this.#get(entry, url, job);
    await verify(entry, bytes, home, job);
    // What lies on disk needs no second copy.
    if (url.protocol !== "file:") await this.#cache.put(key, entry.sha256, bytes);
    return bytes;
  }

  async #get(entry: ModelEntry, url: URL, { signal, report }: JobContext): Promise<ArrayBuffer> {
    const failed = (what: string, details: Record<string, unknown>, rest: { status?: number; cause?: unknown } = {}) =>
      new OtolithError("model-load", `model ${entry.name}: ${what}; set createEngine({ models }) to where it is served`, {
        details: { model: entry.name, url: url.href, ...details },
        ...rest,
      });
    let response: Response;
    try {
      response = await this.#platform.fetch(url, signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw failed(`could not fetch ${url}: ${messageOf(cause)}`, {}, { cause });
    }
    const { status } = response;
    const contentType = response.headers.get("content-type") ?? "none";
    const answer = `${url} answered status ${status}, content type ${contentType}`;
    if (!response.ok) throw failed(answer, { status, contentType }, { status });
    if (isWebPage(response)) throw failed(`got a web page, not a model: ${answer}`, { status, contentType });
    const progress = (done: number) => report("download", done, entry.bytes);
    const broken = (what: string, cause: unknown) => failed(`${answer}, and ${what}`, { status, contentType }, { cause });
    const bytes = await readBody(response, { limit: entry.bytes, signal, report: progress, failed: broken });
    if (bytes.byteLength !== entry.bytes) {
      const length = bytes.byteLength > entry.bytes ? `more than ${entry.bytes}` : String(bytes.byteLength);
      throw failed(`${answer}, ${length} bytes; its manifest says ${entry.bytes}`, {
        status,
        contentType,
        given: bytes.byteLength,
        expected: entry.bytes,
      });
    }
    return bytes;
  }

  #shipped(name: string, manifest: ManifestDocument): ChosenModel {
    const entry = this.#pinnedEntry(name, manifest);
    return { entry, source: this.#source(entry), key: name, custom: false };
  }

  #pinnedEntry(name: string, manifest: ManifestDocument): ModelEntry {
    const current = manifest.models.find((one) => one.name === name);
    if (!current) throw new OtolithError("internal", `model ${name} has left the manifest`);
    const { previous = [], ...latest } = current;
    const version = this.#pinned.get(name);
    const pinned = previous.find(({ model_version }) => model_version === version);
    if (version !== undefined && version !== latest.model_version && !pinned) {
      const versions = [latest, ...previous].map(({ model_version }) => model_version);
      throw new OtolithError("model-load", `model ${name} has no version ${version}; known are ${versions.join(", ")}`, {
        details: { versions },
      });
    }
    return { ...latest, ...pinned };
  }

  #source({ name, file }: ModelEntry): URL {
    const source = this.#locate(file);
    if (!source)
      throw new OtolithError("model-load", `model ${name}: its file ${file} is not in this package`, { details: { model: name } });
    return source;
  }

  /** Checks a model of the caller's in Rust, with the digest computed where it was left out. */
  async #adopt(name: string, { manifest, bytes }: CustomModel, home: WorkerLink): Promise<ChosenModel> {
    // The file may carry its own name, which the manifest must then have; `name` is only what the caller calls it here.
    const entry: Record<string, unknown> = { name, ...manifest };
    if (!(bytes instanceof URL)) {
      const content = await contentOf(name, bytes);
      entry.bytes ??= content.byteLength;
      entry.sha256 ??= await home.call("sha256", { bytes: content });
    }
    const { models } = await parse({ schema: 1, models: [entry] }, home);
    const adopted = models[0];
    if (!adopted) throw new OtolithError("internal", `model ${name} was lost in its check`);
    if (!adopted.sha256 || !adopted.bytes) {
      const what = "its manifest must give bytes and sha256, since the file is fetched: add them, or pass the file itself";
      throw new OtolithError("model-load", `model ${name}: ${what}`, { details: { model: name } });
    }
    return { entry: adopted, source: bytes, key: `custom/${name}`, custom: true };
  }

  async #read(home: WorkerLink): Promise<ManifestDocument> {
    if (!this.#manifest) {
      const manifest = await parse(JSON.parse(manifestJson), home);
      for (const name of this.#custom.keys())
        if (manifest.models.some((one) => one.name === name))
          throw new TypeError(`options.models.${name} is the name of a shipped model: choose another`);
      this.#manifest = manifest;
    }
    return this.#manifest;
  }

  #readEntries(option: unknown): void {
    if (typeof option !== "object" || option === null) {
      const allowed = "a base URL, a function from file name to URL, or an object by model name";
      throw new TypeError(`options.models must be ${allowed}, got ${show(option)}`);
    }
    for (const [name, value] of Object.entries(option)) {
      if (typeof value === "string") this.#pinned.set(name, value);
      else this.#custom.set(name, readCustom(value, `options.models.${name}`));
    }
  }
}

/** The bytes of a model in hand. */
async function contentOf(name: string, source: ArrayBuffer | Blob): Promise<ArrayBuffer> {
  try {
    return source instanceof Blob ? await source.arrayBuffer() : source;
  } catch (cause) {
    const message = `model ${name}: its file could not be read: ${messageOf(cause)}; give it again`;
    throw new OtolithError("model-load", message, { details: { model: name }, cause });
  }
}

/** A residual that is not listed comes on top. */
function stemCount(listed: readonly unknown[], residual: unknown): number {
  return listed.length + (residual === undefined || listed.includes(residual) ? 0 : 1);
}

function readCustom(value: unknown, path: string): CustomModel {
  const reader = new OptionReader(value ?? null, path, ["manifest", "bytes"]);
  const manifest = reader.any("manifest");
  if (typeof manifest !== "object" || manifest === null) throw reader.wrong("manifest", "an object");
  const bytes = reader.any("bytes");
  if (!(bytes instanceof ArrayBuffer || bytes instanceof Blob || bytes instanceof URL))
    throw reader.wrong("bytes", "an ArrayBuffer, Blob or URL");
  return { manifest: manifest as Record<string, unknown>, bytes };
}

async function parse(document: unknown, home: WorkerLink): Promise<ManifestDocument> {
  return JSON.parse(await home.call("manifest", { json: JSON.stringify(document), packageVersion: packageVersion })) as ManifestDocument;
}

async function verify(entry: ModelEntry, bytes: ArrayBuffer, home: WorkerLink, { signal, report }: JobContext): Promise<void> {
  report("verify", 0, 1);
  await home.call("verifyModel", { entry: JSON.stringify(entry), bytes }, { signal });
  report("verify", 1, 1);
}

function isModelError(thrown: unknown): boolean {
  return thrown instanceof OtolithError && (thrown.code === "model-integrity" || thrown.code === "model-load");
}
