import { openCatalogFile } from "./catalog-file.js";
import type { Command } from "./command.js";
import { UsageError, whole } from "./command.js";
import { eachInput, inputUrl, secondsSince } from "./input-file.js";

/** `otolith match`: which song of a catalogue file a clip is from, and from where in it. */
export const match: Command = {
  name: "match",
  summary: "find which enrolled song a clip is from",
  usage: ["match CATALOG QUERY... [--top N]"],
  options: { top: { type: "string", value: "N", help: "how many songs to name at most, 1..100; default 5" } },
  run: async (call) => {
    const top = whole(call, "top", 1, 100);
    const [path, ...queries] = call.positionals;
    if (path === undefined || queries.length === 0) throw new UsageError("match needs a catalogue file and at least one clip");
    const catalog = await openCatalogFile(call, path);
    return eachInput(call, "query", queries, async (query) => {
      const began = performance.now();
      const input = await inputUrl(query);
      const onProgress = call.terminal.progress(query);
      const matches = await catalog.match(input, { ...(top && { top }), signal: call.signal, onProgress });
      const lines = matches.map(
        ({ id, confidence, offset, votes }) =>
          `${query}: ${id} from ${offset.toFixed(2)} s, confidence ${confidence.toFixed(2)}, ${votes} votes`,
      );
      call.terminal.result({ query, matches, seconds: secondsSince(began) }, lines.length > 0 ? lines : [`${query}: no match`]);
    });
  },
};
