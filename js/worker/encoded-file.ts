import type { FileBytes } from "./protocol.js";

/** An encoded file outside wasm, read a stretch at a time while it is decoded. */
export interface EncodedFile {
  readonly size: number;
  /** Bytes of this worker's own memory that it takes. */
  readonly held: number;
  /** The `length` bytes from `at` on. Throws if they cannot be read. */
  read(at: number, length: number): Uint8Array;
  close(): void;
}

/** What a browser's worker has to read a `Blob` with at once; Node has not. */
interface BlobReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** Opens what came from the page. A file on disk and, on a page, a `Blob` are not read before they are decoded. */
export async function openEncoded(bytes: FileBytes): Promise<EncodedFile> {
  const { FileReaderSync: Reader } = globalThis as { FileReaderSync?: new () => BlobReader };
  if (bytes instanceof Blob && Reader) {
    const reader = new Reader();
    return open(bytes.size, 0, (at, length) => new Uint8Array(reader.readAsArrayBuffer(bytes.slice(at, at + length))));
  }
  if (bytes instanceof Blob || bytes instanceof ArrayBuffer) {
    const whole = bytes instanceof Blob ? await bytes.arrayBuffer() : bytes;
    return open(whole.byteLength, whole.byteLength, (at, length) => new Uint8Array(whole, at, length));
  }
  // Named in a variable, so that no bundler of a page looks for it.
  const files = "node:fs";
  const { closeSync, openSync, readSync }: typeof import("node:fs") = await import(/* webpackIgnore: true */ /* @vite-ignore */ files);
  const file = openSync(bytes.path, "r");
  const read = (at: number, length: number) => {
    const buffer = new Uint8Array(length);
    let filled = 0;
    // A read may give less than was asked for; at the end it gives nothing.
    for (let count = 1; count > 0 && filled < length; filled += count) count = readSync(file, buffer, filled, length - filled, at + filled);
    return buffer.subarray(0, filled);
  };
  return open(bytes.size, 0, read, () => closeSync(file));
}

function open(size: number, held: number, read: EncodedFile["read"], close = () => {}): EncodedFile {
  return { size, held, read, close };
}
