import { messageOf, type OtolithError } from "./errors.js";

/** How a body is read. @internal */
export interface BodyOptions {
  /** Most bytes that are wanted. Reading stops once there are more. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Told the bytes read and the length announced, null without one. */
  readonly report?: (done: number, total: number | null) => void;
  /** Makes the error of a body that cannot be read to its end; `what` says how far it came. */
  readonly failed: (what: string, cause: unknown) => OtolithError;
}

/** Reads a body while counting: never much more than `limit` bytes are taken, whatever the server sends. @internal */
export async function readBody(response: Response, { limit, signal, report, failed }: BodyOptions): Promise<ArrayBuffer> {
  // With a content encoding the announced length is not that of the bytes read here.
  const announced = response.headers.has("content-encoding") ? null : response.headers.get("content-length");
  const total = announced === null ? null : Number(announced);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  try {
    reader = response.body?.getReader();
    while (reader && length <= limit) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.byteLength;
      report?.(length, total);
    }
    return await new Blob(parts).arrayBuffer();
  } catch (cause) {
    signal.throwIfAborted();
    throw failed(`broke off after ${length} bytes: ${messageOf(cause)}`, cause);
  } finally {
    await reader?.cancel().catch(() => {});
  }
}

/** True for an answer that is a web page: what servers give for a file that is not there. @internal */
export function isWebPage(response: Response): boolean {
  return /^(text\/html|application\/xhtml)/i.test(response.headers.get("content-type") ?? "");
}

/** The first bytes as text, for a message: control characters shown as dots. @internal */
export function firstBytes(bytes: ArrayBuffer): string {
  const head = Array.from(new Uint8Array(bytes, 0, Math.min(16, bytes.byteLength)));
  return head.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
}
