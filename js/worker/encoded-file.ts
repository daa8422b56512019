import { unreadableError, whyUnreadable } from "../errors.js";
import type { FileBytes } from "./protocol.js";

/** An encoded file outside wasm, read a stretch at a time while it is decoded. */
export interface EncodedFile {
  readonly size: number;
  /** Bytes of this worker's own memory that it takes. */
  readonly held: number;
  /** The `length` bytes from `at` on, which lie within the size. Throws an error that says why where they cannot be read. */
  read(at: number, length: number): Uint8Array;
  close(): void;
}

/** What a browser's worker reads a `Blob` with at once. Node has none: there it is read before it comes here. */
interface BlobReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/**
 * Opens what came from the page. A file on disk and a `Blob` are not read before they are decoded.
 * @param name what to call it in messages, if it lies at no path
 * @throws {OtolithError} `invalid-input` where it is gone, has changed or may not be read
 */
export async function openEncoded(bytes: FileBytes, name: string): Promise<EncodedFile> {
  const file = "path" in bytes ? bytes.path : name;
  try {
    const { read, ...opened } = await open(bytes);
    const checked = (at: number, length: number) => {
      try {
        return read(at, length);
      } catch (cause) {
        // The decoder, which asked, makes an error of it.
        throw new Error(whyUnreadable(file, cause));
      }
    };
    return { ...opened, read: checked };
  } catch (cause) {
    throw unreadableError(file, cause);
  }
}

async function open(bytes: FileBytes): Promise<EncodedFile> {
  const close = () => {};
  if (bytes instanceof Blob) {
    const reader = new (globalThis as unknown as { FileReaderSync: new () => BlobReader }).FileReaderSync();
    const read = (at: number, length: number) => new Uint8Array(reader.readAsArrayBuffer(bytes.slice(at, at + length)));
    return { size: bytes.size, held: 0, read, close };
  }
  if (bytes instanceof ArrayBuffer) {
    const size = bytes.byteLength;
    return { size, held: size, read: (at, length) => new Uint8Array(bytes, at, length), close };
  }
  // Named in a variable, so that no bundler of a page looks for it.
  const files = "node:fs";
  const { closeSync, fstatSync, openSync, readSync }: typeof import("node:fs") = await import(
    /* webpackIgnore: true */ /* @vite-ignore */ files
  );
  const file = openSync(bytes.path, "r");
  const read = (at: number, length: number) => {
    const buffer = new Uint8Array(length);
    let filled = 0;
    // A read may give less than was asked for; at the end it gives nothing.
    for (let count = 1; count > 0 && filled < length; filled += count) count = readSync(file, buffer, filled, length - filled, at + filled);
    // After it, so that whatever was read is of the file that was given: a browser's `File` refuses by itself.
    const { size, mtimeNs } = fstatSync(file, { bigint: true });
    if (filled < length || size < bytes.size) throw new Error("it has become shorter");
    if (size > bytes.size || mtimeNs !== bytes.modified) throw new Error("it has changed");
    return buffer;
  };
  return { size: bytes.size, held: 0, read, close: () => closeSync(file) };
}
