import { messageOf, OtolithError } from "../errors.js";

/**
 * Where a catalogue's files are kept, for `engine.openCatalog({ storage })`: one adapter a catalogue. Files have short names such as
 * `log-3`. What `flush` has answered must survive a power cut; everything else may be lost or be half there. A call that cannot be done
 * rejects: the catalogue then rejects with `storage` and is as it was. Want of room is told by an error with the name
 * `QuotaExceededError` or the code `ENOSPC`.
 */
export interface StorageAdapter {
  /** What `catalog.storage` says. Default `adapter`. */
  readonly name?: string;
  /** Takes the files for this catalogue alone. Rejects if somebody else has them. */
  open?(): Promise<void> | void;
  /** Bytes of a file; undefined if there is none. */
  length(file: string): Promise<number | undefined> | number | undefined;
  /** Exactly `length` bytes from byte `offset` on. */
  read(file: string, offset: number, length: number): Promise<Uint8Array> | Uint8Array;
  /** Writes bytes from byte `offset` on, which is at most the file's length; the file is made if there is none, and ends behind them. */
  write(file: string, offset: number, bytes: Uint8Array): Promise<void> | void;
  /** Sees that all that was written to a file survives a power cut. */
  flush(file: string): Promise<void> | void;
  /** Removes a file. That there is none is no error. */
  remove(file: string): Promise<void> | void;
  /** Lets go of the files. */
  close?(): Promise<void> | void;
}

/** What a catalogue asks of its storage, as Rust writes it. */
export type StorageRequest =
  | { readonly kind: "length"; readonly file: string }
  | { readonly kind: "read"; readonly file: string; readonly offset: number; readonly length: number }
  | { readonly kind: "write"; readonly file: string; readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "flush"; readonly file: string }
  | { readonly kind: "remove"; readonly file: string };

/** The answer to a request: a length, bytes, or nothing. */
export type StorageReply = number | Uint8Array | undefined;

/** Methods that every adapter has. @internal */
export const ADAPTER_METHODS = ["length", "read", "write", "flush", "remove"] as const;

/**
 * Carries requests out in their order.
 * @throws {OtolithError} `storage` for the first that cannot be done
 * @internal
 */
export async function carryOut(adapter: StorageAdapter, requests: readonly StorageRequest[]): Promise<StorageReply[]> {
  const replies: StorageReply[] = [];
  for (const request of requests) {
    try {
      replies.push(await answer(adapter, request));
    } catch (thrown) {
      throw await storageError(thrown, request);
    }
  }
  return replies;
}

function answer(adapter: StorageAdapter, request: StorageRequest): Promise<StorageReply> | StorageReply {
  const { file } = request;
  switch (request.kind) {
    case "length":
      return adapter.length(file);
    case "read":
      return adapter.read(file, request.offset, request.length);
    case "write":
      return adapter.write(file, request.offset, request.bytes) as undefined;
    case "flush":
      return adapter.flush(file) as undefined;
    case "remove":
      return adapter.remove(file) as undefined;
  }
}

/** A request that could not be done, as Rust is told of it. */
export interface StorageFailure {
  readonly failed: string;
  /** Whether it was for want of room. */
  readonly isFull: boolean;
}

/** What Rust is told of an error of {@link carryOut}. @internal */
export function storageFailure({ message, details }: OtolithError): StorageFailure {
  return { failed: message, isFull: "needed" in details };
}

/** The error of what could not be done to a file; for a full disk or quota with the bytes needed and free. @internal */
export async function storageError(thrown: unknown, request: StorageRequest | { kind: "open"; file: string }): Promise<OtolithError> {
  if (thrown instanceof OtolithError) return thrown;
  const { kind, file } = request;
  if (!isFull(thrown))
    return new OtolithError("storage", `could not ${kind} ${file}: ${messageOf(thrown)}`, {
      details: { file, request: kind },
      cause: thrown,
    });
  const needed = kind === "write" ? request.bytes.byteLength : 0;
  const free = (thrown as { free?: number }).free ?? (await freeQuota(needed));
  const room = `${needed || "more"} bytes are needed for ${file}, ${free ?? "fewer"} are free`;
  const message = `the storage is full: ${room}: remove tracks or files, and try again`;
  return new OtolithError("storage", message, { details: { file, request: kind, needed, free }, cause: thrown });
}

/** Whether a storage has thrown this for want of room. @internal */
export function isFull(thrown: unknown): boolean {
  const { name, code } = (thrown ?? {}) as { name?: unknown; code?: unknown };
  return name === "QuotaExceededError" || code === "ENOSPC" || code === "EDQUOT";
}

/** Bytes that are free where `needed` bytes were not; null if the browser does not tell. */
async function freeQuota(needed: number): Promise<number | null> {
  const estimate = await globalThis.navigator?.storage?.estimate?.().catch(() => undefined);
  // Not a number, and so not less than any, where they are not told.
  const { quota, usage } = (estimate ?? {}) as Required<StorageEstimate>;
  const free = Math.max(0, quota - usage);
  // Chromium says 10 GiB more than is used, so that no page learns the size of the disk, and its reserves for open files are not free.
  return free < needed ? free : null;
}

/** The error of a catalogue that somebody else has open. @internal */
export function inUseError(name: string, by: string, cause?: unknown): OtolithError {
  const message = `catalogue ${name} is open in ${by}: close it there, or choose another name`;
  return new OtolithError("storage", message, { details: { name, inUse: true }, cause });
}
