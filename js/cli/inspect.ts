import type { Command } from "./command.js";
import { whole } from "./command.js";
import { eachInput, inputBytes } from "./input-file.js";

/** `otolith inspect`: what is in a fingerprint or catalogue file. */
export const inspect: Command = {
  name: "inspect",
  summary: "show what is in a fingerprint or catalogue file",
  usage: ["inspect F [--hashes N] [--peaks N]"],
  options: {
    hashes: { type: "string", value: "N", help: "show the first N hashes, 0..100000; default 0" },
    peaks: { type: "string", value: "N", help: "show the first N peaks, 0..100000; default 0" },
  },
  run: async (call) => {
    const hashes = whole(call, "hashes", 0, 100_000);
    const peaks = whole(call, "peaks", 0, 100_000);
    return eachInput(call, "file", call.positionals, async (file) => {
      const bytes = await inputBytes(file);
      const engine = await call.engine();
      const found: object = await engine.inspect(bytes, { ...(hashes !== undefined && { hashes }), ...(peaks !== undefined && { peaks }) });
      call.terminal.result({ file, ...found }, [
        `${file}:`,
        ...Object.entries(found).map(([name, value]) => `  ${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`),
      ]);
    });
  },
};
