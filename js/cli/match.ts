import { openExistingCatalog } from "./catalog-folder.js";
import type { Command } from "./command.js";
import { UsageError, whole } from "./command.js";
import { EMBEDDER_OPTION } from "./custom-model.js";
import { inputUrl, manyInputs, secondsSince } from "./input-file.js";
import { soundFiles } from "./sound-files.js";

/** `otolith match`: which song of a catalogue a clip is from, and from where in it. */
export const match: Command = {
  name: "match",
  summary: "find which enrolled song a clip is from",
  usage: ["match CATALOG QUERY... [--top N] [--model MANIFEST|NAME]"],
  options: { top: { type: "string", value: "N", help: "how many songs to name at most, 1..100; default 5" }, model: EMBEDDER_OPTION },
  run: async (call) => {
    const top = whole(call, "top", 1, 100);
    const [path, ...queries] = call.positionals;
    if (path === undefined || queries.length === 0) throw new UsageError("match needs a catalogue and at least one clip");
    const files = await soundFiles(queries);
    const catalog = await openExistingCatalog(call, path);
    return manyInputs(call, "query", files, async ({ path: query }, onProgress) => {
      const began = performance.now();
      const input = await inputUrl(query);
      const matches = await catalog.match(input, { ...(top && { top }), signal: call.signal, onProgress });
      const lines = matches.map(
        ({ id, confidence, offset, votes }) =>
          `${query}: ${id} from ${offset.toFixed(2)} s, confidence ${confidence.toFixed(2)}, ${votes} votes`,
      );
      return {
        document: { query, matches, seconds: secondsSince(began) },
        lines: lines.length > 0 ? lines : [`${query}: no match`],
      };
    });
  },
};
