import { join } from "node:path";
import type { Command } from "./command.js";
import { oneOf, text, UsageError } from "./command.js";
import { readCustomModel } from "./custom-model.js";
import { eachInput, inputUrl, secondsSince, titleOf } from "./input-file.js";
import { writeWhole } from "./partial-file.js";

/** `otolith separate`: a song's stems, as WAV files in a folder of the song's name. */
export const separate: Command = {
  name: "separate",
  summary: "split songs into stems",
  usage: ["separate FILE... --out DIR [--stems 2|5] [--model MANIFEST|NAME] [--format wav16|wav24|wav32f]"],
  options: {
    out: { type: "string", value: "DIR", help: "folder for the stems: DIR/<song>/<stem>.wav" },
    stems: {
      type: "string",
      value: "2|5",
      help: "2 (default): vocals, instrumental; 5: vocals, drums, bass, instruments, fx; of your own model, what it has",
    },
    model: {
      type: "string",
      value: "MANIFEST|NAME",
      help: "a model of your own by its manifest (.json, the file beside it), or a shipped one by name",
    },
    format: { type: "string", value: "FORMAT", help: "wav16, wav24 or wav32f (default)" },
  },
  run: async (call) => {
    const out = text(call, "out");
    if (out === undefined) throw new UsageError("separate needs --out DIR: the folder for the stems");
    const counted = oneOf(call, "stems", ["2", "5"]);
    const stems = counted === undefined ? undefined : counted === "5" ? 5 : 2;
    const format = oneOf(call, "format", ["wav16", "wav24", "wav32f"]) ?? "wav32f";
    refuseSameTitle(call.positionals);
    const chosen = text(call, "model");
    const custom = chosen?.endsWith(".json") ? await readCustomModel(chosen, "separator", stems) : undefined;
    const model = custom?.name ?? chosen;
    return eachInput(call, "file", call.positionals, async (file) => {
      const began = performance.now();
      const input = await inputUrl(file);
      const engine = await call.engine(custom?.models);
      const { signal } = call;
      const result = await engine.separate(input, {
        ...(stems && { stems }),
        ...(model && { model }),
        signal,
        onProgress: call.terminal.progress(file),
      });
      const paths: Record<string, string> = {};
      for (const [stem, audio] of Object.entries(result.stems)) {
        const path = join(out, titleOf(file), `${stem}.wav`);
        await writeWhole(path, await engine.encodeWav(audio, { format }), signal);
        paths[stem] = path;
      }
      for (const warning of result.warnings) call.terminal.note(`${file}: ${warning}`);
      const { duration, sampleRate, frames, chunks, silentChunks, workers, peakMemory } = result;
      const document = {
        file,
        duration,
        sampleRate,
        frames,
        stems: paths,
        seconds: secondsSince(began),
        separationSeconds: result.seconds,
        chunks,
        silentChunks,
        workers,
        peakMemory,
        model: result.model,
      };
      call.terminal.result(document, [
        `${file}: ${duration.toFixed(1)} s of sound in ${document.seconds.toFixed(1)} s by ${result.model.name} ${result.model.version}`,
        ...Object.entries(paths).map(([stem, path]) => `  ${stem}: ${path}`),
      ]);
    });
  },
};

/** Two songs of one name would write over each other's stems. */
function refuseSameTitle(files: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const file of files) {
    const other = seen.get(titleOf(file));
    if (other !== undefined)
      throw new UsageError(`${other} and ${file} would both write to the folder ${titleOf(file)}: separate them into two folders`);
    seen.set(titleOf(file), file);
  }
}
