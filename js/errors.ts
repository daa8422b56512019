/**
 * What went wrong, as a stable word:
 *
 * - `invalid-input`: a value of the caller's is out of range or not a number; the message names it.
 * - `unsupported-format`: the bytes are no sound file that is read here, or a damaged one.
 * - `too-short`: the sound is shorter than the capability needs.
 * - `limit`: a limit of `createEngine({ limits })` is exceeded; `details.limit` names it.
 * - `out-of-memory`: memory could not be had, for a result or in a worker, which is then replaced; the message says what needs less.
 * - `model-load`: a model or its manifest cannot be fetched or used.
 * - `model-integrity`: a model's bytes are not the ones its manifest names.
 * - `not-authorized`: the tier does not include it (`status` 403), the `authorize` hook refused (429) or gave no answer (503).
 * - `gpu-unavailable`: `device: "gpu"` was asked for, and no graphics processor passes; the message says why.
 * - `storage`: something stored cannot be read or written, is damaged, or is open elsewhere; what is stored is as it was. A full disk or
 *   quota has `details.needed` and `details.free`, in bytes; `free` is null where the browser does not tell it.
 * - `unsupported-environment`: the page or runtime lacks what is needed; the message names it.
 * - `crashed`: the wasm instance at work died; `details.panic` is its last word. The next call works.
 * - `disposed`: the engine or catalogue was closed before or during the call.
 * - `internal`: a fault of otolith's; report it with the message.
 */
export type OtolithErrorCode =
  | "invalid-input"
  | "unsupported-format"
  | "too-short"
  | "limit"
  | "out-of-memory"
  | "model-load"
  | "model-integrity"
  | "not-authorized"
  | "gpu-unavailable"
  | "storage"
  | "unsupported-environment"
  | "crashed"
  | "disposed"
  | "internal";

/** Data of an {@link OtolithError}: what was found and what is allowed, by name. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * Everything that can fail here rejects with this, but for two things: a wrong option or argument is a `TypeError` with its dotted
 * path, and a cancelled job rejects with its signal's reason.
 */
export class OtolithError extends Error {
  /** Stable word for what went wrong. */
  readonly code: OtolithErrorCode;
  /** HTTP status: of a download that was not answered with success, or the one that says why a job was not authorized. */
  readonly status?: number;
  /** Data of the error. */
  readonly details: ErrorDetails;

  constructor(code: OtolithErrorCode, message: string, { details = {}, status, cause }: OtolithErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "OtolithError";
    this.code = code;
    this.details = details;
    if (status !== undefined) this.status = status;
  }
}

/** What an {@link OtolithError} may carry besides code and message. */
export interface OtolithErrorOptions {
  /** Data of the error. */
  readonly details?: ErrorDetails;
  /** HTTP status of a failed download. */
  readonly status?: number;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/** Message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What helps where memory lacks. @internal */
export const LESS_MEMORY = "take a shorter options.chunk, a shorter sound or fewer workers";

/** Why the bytes of `file` (its path or name, or "") could not be had, and what to do. @internal */
export function whyUnreadable(file: string, cause: unknown): string {
  const why = messageOf(cause);
  return `${why.includes(file) ? why : `${file}: ${why}`}; it must be there, readable and unchanged until the job has ended`;
}

/** The error of a sound whose bytes could not be had. @internal */
export function unreadableError(file: string, cause: unknown): OtolithError {
  return new OtolithError("invalid-input", `the file could not be read: ${whyUnreadable(file, cause)}`, { cause });
}

/** The error of a call on something closed. */
export function disposedError(what: string): OtolithError {
  return new OtolithError("disposed", `${what} is closed: create a new one`);
}
