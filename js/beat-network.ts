import type { Workshop } from "./analysis.js";
import { OtolithError } from "./errors.js";
import type { JobContext } from "./job.js";
import type { Models } from "./models.js";
import type { WasmFiles } from "./wasm-files.js";
import type { WorkerLink } from "./worker/link.js";
import type { WorkerPool } from "./worker/pool.js";

/** What beats and neural fingerprints work with. @internal */
export interface BeatWorkshop extends Workshop {
  /** Workers that run neural.wasm. */
  readonly neural: WorkerPool;
  readonly models: Models;
  readonly wasm: WasmFiles;
}

/** How beats may be found: by a trained network, by spectral flux, or by the better one that is at hand. */
export type BeatMethod = "auto" | "tcn" | "flux";

/** Why `auto` used flux: no network is shipped, it (or what runs it) could not be had, or its bytes were not the right ones. */
export type BeatNotice = "model-missing" | "model-refused" | "model-integrity";

/** A network on its way to a worker, its files by role. @internal */
export interface NetworkFiles {
  /** What a worker keeps it by. */
  readonly key: string;
  readonly entry: string;
  readonly files: Readonly<Record<string, ArrayBuffer>>;
}

/** A network, or why there is none. @internal */
export type BeatNetwork = { readonly network: NetworkFiles } | { readonly notice: BeatNotice };

/**
 * The network of `contract`, fetched and checked, with neural.wasm at hand. For `auto` what cannot be had is a notice; for `tcn` an error.
 * @internal
 */
export async function findNetwork(
  workshop: BeatWorkshop,
  contract: "beat-activations" | "beat-activations-causal",
  method: BeatMethod,
  job: JobContext,
): Promise<BeatNetwork> {
  if (method === "flux") return { notice: "model-missing" };
  try {
    const network = await workshop.core.use(job.signal, (home) => workshop.models.fetchGraphs("beat", contract, home, job));
    if (network) {
      await workshop.wasm.module("neural", (done, total) => job.report("download", done, total));
      return { network };
    }
  } catch (thrown) {
    return { notice: noticeOf(thrown, method) };
  }
  if (method === "auto") return { notice: "model-missing" };
  throw new OtolithError("model-load", `no model of contract ${contract} is shipped: use method auto or flux`, { details: { contract } });
}

/** Gives a worker the network, once. @internal */
export async function loadNetwork(link: WorkerLink, { key, entry, files }: NetworkFiles, signal?: AbortSignal): Promise<void> {
  const options = signal ? { signal } : {};
  if (await link.call("hasModel", { key }, options)) return;
  await link.call("loadNetwork", { key, entry, files }, options);
}

/** What a failure of the network means to `auto`; anything else, and every failure of `tcn`, is thrown on. @internal */
export function noticeOf(thrown: unknown, method: BeatMethod): BeatNotice {
  const code = thrown instanceof OtolithError ? thrown.code : undefined;
  if (method !== "tcn") {
    if (code === "model-integrity") return "model-integrity";
    if (code === "model-load" || code === "unsupported-environment" || code === "not-authorized") return "model-refused";
  }
  throw thrown;
}
