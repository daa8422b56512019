import { ALGORITHMS } from "../fingerprint.js";
import { openCatalogFolder } from "./catalog-folder.js";
import type { Command } from "./command.js";
import { oneOf, text, UsageError } from "./command.js";
import { EMBEDDER_OPTION } from "./custom-model.js";
import { inputUrl, manyInputs, secondsSince } from "./input-file.js";
import { soundFiles } from "./sound-files.js";

/** `otolith enrol`: puts songs into a catalogue, a folder that is made if it is not there. */
export const enrol: Command = {
  name: "enrol",
  summary: "put songs into a catalogue",
  usage: ["enrol CATALOG FILE... [--id ID] [--replace] [--algorithm NAME] [--model MANIFEST|NAME]"],
  options: {
    id: { type: "string", value: "ID", help: "name of the song in the catalogue; default: the file's name without extension" },
    replace: { type: "boolean", help: "a song of the same name is replaced; otherwise it is an error" },
    algorithm: { type: "string", value: "NAME", help: `${ALGORITHMS.join(", ")}; of a new catalogue; default ${ALGORITHMS[0]}` },
    model: EMBEDDER_OPTION,
  },
  run: async (call) => {
    const algorithm = oneOf(call, "algorithm", ALGORITHMS);
    const [path, ...paths] = call.positionals;
    const id = text(call, "id");
    if (path === undefined || paths.length === 0) throw new UsageError("enrol needs a catalogue and at least one sound file or folder");
    const files = await soundFiles(paths);
    if (id !== undefined && files.length > 1) throw new UsageError(`--id names one song, got ${files.length} files`);
    const catalog = await openCatalogFolder(call, path, algorithm);
    const replace = call.values.replace === true;
    return manyInputs(call, "file", files, async ({ path: file, title }, onProgress) => {
      const began = performance.now();
      const track = id ?? title;
      const input = await inputUrl(file);
      // It is stored when this ends: what was enrolled before a failure or Ctrl-C is kept.
      const print = await catalog.enrol(input, { id: track, metadata: { file }, replace, signal: call.signal, onProgress });
      const { hashCount, duration } = print;
      return {
        document: { file, catalog: path, id: track, hashCount, duration, seconds: secondsSince(began) },
        lines: [`${file}: enrolled as ${JSON.stringify(track)}, ${hashCount} hashes over ${duration.toFixed(1)} s`],
      };
    });
  },
};
