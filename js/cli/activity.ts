import type { Command } from "./command.js";
import { decimal } from "./command.js";
import { eachInput, inputUrl, secondsSince } from "./input-file.js";

/** `otolith activity`: where a file is music, speech or silence. */
export const activity: Command = {
  name: "activity",
  summary: "tell music, speech and silence apart",
  usage: ["activity FILE... [--silence=DB]"],
  options: {
    silence: { type: "string", value: "DB", help: "level in dBFS below which a sound is silent (default --silence=-60)" },
  },
  run: async (call) => {
    const silence = decimal(call, "silence", -100, -20);
    return eachInput(call, "file", call.positionals, async (file) => {
      const began = performance.now();
      const input = await inputUrl(file);
      const engine = await call.engine();
      const options = { ...(silence !== undefined && { silence }), signal: call.signal, onProgress: call.terminal.progress(file) };
      const segments = await engine.activity(input, options);
      call.terminal.result({ file, segments, seconds: secondsSince(began) }, [
        `${file}: ${segments.length} stretches`,
        ...segments.map(({ start, end, kind, confidence }) => `${start.toFixed(2)}\t${end.toFixed(2)}\t${kind}\t${confidence.toFixed(2)}`),
      ]);
    });
  },
};
