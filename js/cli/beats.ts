import type { Command } from "./command.js";
import { oneOf } from "./command.js";
import { eachInput, inputUrl, secondsSince } from "./input-file.js";

/** `otolith beats`: when the beats fall, and the tempo. */
export const beats: Command = {
  name: "beats",
  summary: "find beats, downbeats and tempo",
  usage: ["beats FILE... [--method auto|flux]"],
  options: { method: { type: "string", value: "NAME", help: "auto (default) or flux, the spectral flux method" } },
  run: async (call) => {
    const method = oneOf(call, "method", ["auto", "flux"]);
    return eachInput(call, "file", call.positionals, async (file) => {
      const began = performance.now();
      const input = await inputUrl(file);
      const engine = await call.engine();
      const track = await engine.beats(input, { ...(method && { method }), signal: call.signal, onProgress: call.terminal.progress(file) });
      const downbeats = new Set(track.downbeats);
      const { bpm, confidence } = track.tempo;
      const tempo = bpm === null ? "no steady tempo" : `${bpm.toFixed(1)} BPM (confidence ${confidence.toFixed(2)})`;
      call.terminal.result({ file, ...track, seconds: secondsSince(began) }, [
        `${file}: ${tempo}, ${track.beats.length} beats by ${track.method}${track.notice ? `; ${track.notice}` : ""}`,
        ...Array.from(track.beats, (time) => `${time.toFixed(3)}${downbeats.has(time) ? "\tdownbeat" : ""}`),
      ]);
    });
  },
};
