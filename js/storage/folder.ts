import { type FileHandle, mkdir, open, readFile, rm, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { OtolithError } from "../errors.js";
import { inUseError, type StorageAdapter } from "./adapter.js";

const LOCK = "lock";

/**
 * Keeps a catalogue in a folder, in Node: `engine.openCatalog({ storage: folderStorage("songs.catalog") })`. The folder is made if
 * there is none; one process has it open at a time.
 */
export function folderStorage(path: string): StorageAdapter {
  if (typeof path !== "string" || path === "") throw new TypeError("path must be a string that is not empty");
  return new FolderStorage(path);
}

class FolderStorage implements StorageAdapter {
  readonly name = "folder";
  readonly #path: string;
  readonly #handles = new Map<string, FileHandle>();
  /** Files that were made or removed since their folder was last synchronised. */
  #folderChanged = false;
  #locked = false;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    try {
      await mkdir(this.#path, { recursive: true });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new OtolithError("storage", `${this.#path} cannot be a folder: ${why}`, { details: { path: this.#path }, cause });
    }
    const lock = join(this.#path, LOCK);
    for (let attempt = 0; ; attempt++) {
      try {
        const handle = await open(lock, "wx");
        await handle.writeFile(String(process.pid));
        await handle.close();
        this.#locked = true;
        return;
      } catch (thrown) {
        if (codeOf(thrown) !== "EEXIST" || attempt > 0) throw thrown;
        const holder = Number(await readFile(lock, "utf8"));
        if (isAlive(holder)) throw inUseError(this.#path, `process ${holder}`, thrown);
        // Its process has ended without letting go.
        await rm(lock, { force: true });
      }
    }
  }

  async length(file: string): Promise<number | undefined> {
    const handle = await this.#handle(file, false);
    return handle && (await handle.stat()).size;
  }

  async read(file: string, offset: number, length: number): Promise<Uint8Array> {
    const handle = await this.#handle(file, false);
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (handle && filled < length) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  async write(file: string, offset: number, bytes: Uint8Array): Promise<void> {
    const handle = await this.#handle(file, true);
    try {
      let written = 0;
      while (handle && written < bytes.byteLength)
        written += (await handle.write(bytes, written, bytes.byteLength - written, offset + written)).bytesWritten;
      await handle?.truncate(offset + bytes.byteLength);
    } catch (thrown) {
      if (codeOf(thrown) !== "ENOSPC" && codeOf(thrown) !== "EDQUOT") throw thrown;
      const { bavail, bsize } = await statfs(this.#path);
      throw Object.assign(thrown as Error, { free: bavail * bsize });
    }
  }

  async flush(file: string): Promise<void> {
    await (await this.#handle(file, false))?.sync();
    if (this.#folderChanged) await this.#syncFolder();
  }

  async remove(file: string): Promise<void> {
    await this.#handles.get(file)?.close();
    this.#handles.delete(file);
    try {
      await unlink(join(this.#path, file));
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") return;
      throw thrown;
    }
    await this.#syncFolder();
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
    this.#handles.clear();
    if (this.#locked) await rm(join(this.#path, LOCK), { force: true });
    this.#locked = false;
  }

  async #handle(file: string, create: boolean): Promise<FileHandle | undefined> {
    const held = this.#handles.get(file);
    if (held) return held;
    const path = join(this.#path, file);
    let handle: FileHandle;
    try {
      handle = await open(path, "r+");
    } catch (thrown) {
      if (codeOf(thrown) !== "ENOENT") throw thrown;
      if (!create) return undefined;
      handle = await open(path, "w+");
      this.#folderChanged = true;
    }
    this.#handles.set(file, handle);
    return handle;
  }

  /** A new or removed name is in the folder's own data. */
  async #syncFolder(): Promise<void> {
    this.#folderChanged = false;
    // Windows cannot open a folder; there a file's own synchronisation has to do.
    if (process.platform === "win32") return;
    const folder = await open(this.#path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function codeOf(thrown: unknown): unknown {
  return typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : undefined;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return codeOf(thrown) === "EPERM";
  }
}
