import type { JobProgress } from "../node.js";

const BAR_WIDTH = 24;
const REDRAW_MS = 100;

/** A stream that may be a terminal: standard output or standard error. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

/**
 * Results on standard output, everything else on standard error: progress is a bar where that is a terminal, else one line a phase.
 */
export class Terminal {
  readonly #output: OutputStream;
  readonly #notes: OutputStream;
  readonly #json: boolean;
  #drawn = false;
  #drawnAt = 0;
  #phase = "";

  constructor(output: OutputStream, notes: OutputStream, json: boolean) {
    this.#output = output;
    this.#notes = notes;
    this.#json = json;
  }

  /** Prints a result: `document` as one line of JSON under `--json`, else the `lines` for people. */
  result(document: unknown, lines: readonly string[]): void {
    this.#clear();
    const text = this.#json ? [JSON.stringify(document, plainNumbers)] : lines;
    for (const line of text) this.#output.write(`${line}\n`);
  }

  /** Says something that is not a result. */
  note(line: string): void {
    this.#clear();
    this.#notes.write(`${line}\n`);
  }

  /** A progress listener for the job on `subject`, given to the engine as `onProgress`. */
  progress(subject: string): (progress: JobProgress) => void {
    this.#phase = "";
    return (progress) => (this.#notes.isTTY ? this.#bar(subject, progress) : this.#phaseLine(subject, progress));
  }

  #phaseLine(subject: string, { phase }: JobProgress): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#notes.write(`${subject}: ${phase}\n`);
  }

  #bar(subject: string, { phase, done, total, etaMs }: JobProgress): void {
    const now = performance.now();
    const ended = total !== null && done >= total;
    if (this.#phase === phase && !ended && now - this.#drawnAt < REDRAW_MS) return;
    this.#phase = phase;
    this.#drawnAt = now;
    const share = total === null || total === 0 ? 0 : Math.min(1, done / total);
    const filled = Math.round(share * BAR_WIDTH);
    const eta = etaMs === null ? "" : `, ${Math.ceil(etaMs / 1000)} s left`;
    const line = `${subject} [${"=".repeat(filled)}${" ".repeat(BAR_WIDTH - filled)}] ${Math.floor(share * 100)} % ${phase}${eta}`;
    this.#notes.write(`\r\x1b[2K${line.slice(0, (this.#notes.columns ?? 80) - 1)}`);
    this.#drawn = true;
  }

  #clear(): void {
    if (this.#drawn) this.#notes.write("\r\x1b[2K");
    this.#drawn = false;
  }
}

/** Typed arrays become JSON arrays, not objects with numeric keys. */
function plainNumbers(_key: string, value: unknown): unknown {
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float64Array) : value;
}
