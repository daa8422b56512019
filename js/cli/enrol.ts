import { ALGORITHMS } from "../fingerprint.js";
import { catalogExists, openCatalogFile } from "./catalog-file.js";
import type { Command } from "./command.js";
import { oneOf, text, UsageError } from "./command.js";
import { eachInput, inputUrl, secondsSince, titleOf } from "./input-file.js";
import { writeWhole } from "./partial-file.js";

/** `otolith enrol`: puts songs into a catalogue file, which is made if it is not there. */
export const enrol: Command = {
  name: "enrol",
  summary: "put songs into a catalogue file",
  usage: ["enrol CATALOG FILE... [--id ID] [--replace] [--algorithm wang]"],
  options: {
    id: { type: "string", value: "ID", help: "name of the song in the catalogue; default: the file's name without extension" },
    replace: { type: "boolean", help: "a song of the same name is replaced; otherwise it is an error" },
    algorithm: { type: "string", value: "NAME", help: "wang (default); of a new catalogue" },
  },
  run: async (call) => {
    const algorithm = oneOf(call, "algorithm", ALGORITHMS);
    const [path, ...files] = call.positionals;
    const id = text(call, "id");
    if (path === undefined || files.length === 0) throw new UsageError("enrol needs a catalogue file and at least one sound file");
    if (id !== undefined && files.length > 1) throw new UsageError(`--id names one song, got ${files.length} files`);
    const catalog = await openCatalogFile(call, (await catalogExists(path)) ? path : undefined, algorithm);
    return eachInput(call, "file", files, async (file) => {
      const began = performance.now();
      const input = await inputUrl(file);
      const engine = await call.engine();
      const track = id ?? titleOf(file);
      const print = await engine.fingerprint(input, { algorithm: "wang", signal: call.signal, onProgress: call.terminal.progress(file) });
      await catalog.enrol(print, { id: track, metadata: { file }, replace: call.values.replace === true });
      // Written after every song: what was enrolled before a failure or Ctrl-C is kept.
      await writeWhole(path, await catalog.export(), call.signal);
      const { hashCount, duration } = print;
      call.terminal.result({ file, catalog: path, id: track, hashCount, duration, seconds: secondsSince(began) }, [
        `${file}: enrolled as ${JSON.stringify(track)}, ${hashCount} hashes over ${duration.toFixed(1)} s`,
      ]);
    });
  },
};
