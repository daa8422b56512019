import type { Command } from "./command.js";
import { oneOf, text, UsageError } from "./command.js";
import { eachInput, inputUrl, secondsSince } from "./input-file.js";
import { writeWhole } from "./partial-file.js";

/** `otolith beats`: when the beats fall, and the tempo. */
export const beats: Command = {
  name: "beats",
  summary: "find beats, downbeats and tempo",
  usage: ["beats FILE... [--method auto|flux] [--click OUT.wav]"],
  options: {
    method: { type: "string", value: "NAME", help: "auto (default) or flux, the spectral flux method" },
    click: { type: "string", value: "OUT.wav", help: "write the sound with a click on every beat, a higher one on downbeats" },
  },
  run: async (call) => {
    const method = oneOf(call, "method", ["auto", "flux"]);
    const click = text(call, "click");
    if (click !== undefined && call.positionals.length > 1)
      throw new UsageError(`--click names one file, got ${call.positionals.length} inputs`);
    return eachInput(call, "file", call.positionals, async (file) => {
      const began = performance.now();
      const input = await inputUrl(file);
      const engine = await call.engine();
      const track = await engine.beats(input, { ...(method && { method }), signal: call.signal, onProgress: call.terminal.progress(file) });
      if (click !== undefined) {
        const audible = await engine.clickTrack(input, track, { signal: call.signal });
        await writeWhole(click, await engine.encodeWav(audible, { format: "wav16" }), call.signal);
      }
      const downbeats = new Set(track.downbeats);
      const { bpm, confidence } = track.tempo;
      const tempo = bpm === null ? "no steady tempo" : `${bpm.toFixed(1)} BPM (confidence ${confidence.toFixed(2)})`;
      call.terminal.result({ file, ...track, ...(click !== undefined && { click }), seconds: secondsSince(began) }, [
        `${file}: ${tempo}, ${track.beats.length} beats by ${track.method}${track.notice ? `; ${track.notice}` : ""}`,
        ...Array.from(track.beats, (time) => `${time.toFixed(3)}${downbeats.has(time) ? "\tdownbeat" : ""}`),
      ]);
    });
  },
};
