/** How a body is read. @internal */
export interface BodyOptions {
  /** Most bytes that are wanted. Reading stops once there are more. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Told the bytes read and the length announced, null without one. */
  readonly report?: (done: number, total: number | null) => void;
}

/** Reads a body while counting: never much more than `limit` bytes are taken, whatever the server sends. @internal */
export async function readBody(response: Response, { limit, signal, report }: BodyOptions): Promise<ArrayBuffer> {
  // With a content encoding the announced length is not that of the bytes read here.
  const announced = response.headers.has("content-encoding") ? null : response.headers.get("content-length");
  const total = announced === null ? null : Number(announced);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  try {
    while (reader && length <= limit) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.byteLength;
      report?.(length, total);
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
  return new Blob(parts).arrayBuffer();
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
