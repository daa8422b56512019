import type { StorageAdapter } from "otolith";

/** How a write fails: nothing of it is done, half of it, or all of it although it is reported as failed. */
export type Failure = "clean" | "torn" | "late";

/** A file system in memory that counts what is done to it and fails where it is told to. */
export class FaultyAdapter implements StorageAdapter {
  readonly name = "faulty";
  /** The files. */
  readonly files: Map<string, Uint8Array>;
  /** Writes, flushes and removals so far. */
  changes = 0;
  /** Number of the change that fails, and how; later ones succeed again. */
  failing: { readonly change: number; readonly how: Failure } | undefined;
  /** Whether somebody has it open. */
  isOpen = false;
  /** Called before each change. */
  beforeChange: (change: number) => Promise<void> | void = () => {};

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.files = new Map(Array.from(files, ([file, bytes]) => [file, bytes.slice()]));
  }

  open(): void {
    if (this.isOpen) throw new Error("somebody else has it open");
    this.isOpen = true;
  }

  close(): void {
    this.isOpen = false;
  }

  length(file: string): number | undefined {
    return this.files.get(file)?.byteLength;
  }

  read(file: string, offset: number, length: number): Uint8Array {
    return this.files.get(file)?.slice(offset, offset + length) ?? new Uint8Array();
  }

  async write(file: string, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#change(
      () => this.#put(file, offset, bytes),
      () => this.#put(file, offset, bytes.subarray(0, bytes.byteLength >> 1)),
    );
  }

  async flush(): Promise<void> {
    await this.#change(() => {});
  }

  async remove(file: string): Promise<void> {
    await this.#change(() => this.files.delete(file));
  }

  #put(file: string, offset: number, bytes: Uint8Array): void {
    const before = this.files.get(file) ?? new Uint8Array();
    if (offset > before.byteLength) throw new Error(`a hole is written in ${file}`);
    const after = new Uint8Array(offset + bytes.byteLength);
    after.set(before.subarray(0, offset));
    after.set(bytes, offset);
    this.files.set(file, after);
  }

  async #change(whole: () => void, half: () => void = () => {}): Promise<void> {
    const change = this.changes++;
    await this.beforeChange(change);
    const how = this.failing?.change === change ? this.failing.how : undefined;
    if (how === "torn") half();
    else if (how !== "clean") whole();
    if (how) throw new DOMException("the quota is used up", "QuotaExceededError");
  }
}
