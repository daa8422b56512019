import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Catalog, createEngine, type Engine } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { folderStorage } from "../../../js/storage/folder.js";
import { melody } from "../signal.js";

const rate = 22_050;
const song = { channels: [melody(8, rate, 3)], sampleRate: rate };
const root = mkdtempSync(join(tmpdir(), "otolith-folder-"));
let engine: Engine;
let count = 0;
const open = (path: string): Promise<Catalog> => engine.openCatalog({ name: `folder ${count++}`, storage: folderStorage(path) });

beforeAll(async () => {
  engine = await createEngine({ workers: 1 });
});
afterAll(async () => {
  await engine.dispose();
  rmSync(root, { recursive: true, force: true });
});

describe("folderStorage", () => {
  it("keeps a catalogue from one process to the next", async () => {
    const path = join(root, "kept");
    const catalog = await open(path);
    expect(catalog.storage).toBe("folder");
    await catalog.enrol(song, { id: "song" });
    await catalog.compact();
    await catalog.close();
    expect(readdirSync(path)).not.toContain("lock");
    const again = await open(path);
    expect((await again.match(song))[0]?.id).toBe("song");
    await again.close();
  });

  it("a folder that is open is refused, naming the process; one whose process has ended is not", async () => {
    const path = join(root, "locked");
    const catalog = await open(path);
    await expect(open(path)).rejects.toMatchObject({ code: "storage", message: expect.stringContaining(`process ${process.pid}`) });
    await catalog.enrol(song, { id: "song" });
    await catalog.close();
    const ended = execFileSync(process.execPath, ["-e", "process.stdout.write(String(process.pid))"], { encoding: "utf8" });
    writeFileSync(join(path, "lock"), ended);
    const again = await open(path);
    expect(readFileSync(join(path, "lock"), "utf8")).toBe(String(process.pid));
    expect(await again.ids()).toEqual(["song"]);
    await again.close();
  });

  it("a path that cannot be a folder is an error", async () => {
    const path = join(root, "file");
    writeFileSync(path, "not a folder");
    await expect(open(path)).rejects.toMatchObject({ code: "storage", details: { path } });
    expect(() => folderStorage("")).toThrow(TypeError);
  });
});
