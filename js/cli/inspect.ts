import { isFolder, openExistingCatalog } from "./catalog-folder.js";
import type { Command } from "./command.js";
import { whole } from "./command.js";
import { eachInput, inputBytes } from "./input-file.js";

/** `otolith inspect`: what is in a fingerprint or a catalogue. */
export const inspect: Command = {
  name: "inspect",
  summary: "show what is in a fingerprint or a catalogue",
  usage: ["inspect F... [--hashes N] [--peaks N]"],
  options: {
    hashes: { type: "string", value: "N", help: "show the first N hashes of a fingerprint, 0..100000; default 0" },
    peaks: { type: "string", value: "N", help: "show the first N peaks of a fingerprint, 0..100000; default 0" },
  },
  run: async (call) => {
    const hashes = whole(call, "hashes", 0, 100_000);
    const peaks = whole(call, "peaks", 0, 100_000);
    const options = { ...(hashes !== undefined && { hashes }), ...(peaks !== undefined && { peaks }) };
    return eachInput(call, "file", call.positionals, async (file) => {
      const found: object = (await isFolder(file))
        ? await (await openExistingCatalog(call, file)).stats()
        : await (await call.engine()).inspect(await inputBytes(file), options);
      call.terminal.result({ file, ...found }, [
        `${file}:`,
        ...Object.entries(found).map(([name, value]) => `  ${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`),
      ]);
    });
  },
};
