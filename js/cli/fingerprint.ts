import { ALGORITHMS } from "../fingerprint.js";
import type { Command } from "./command.js";
import { decimal, oneOf, text, UsageError } from "./command.js";
import { EMBEDDER_OPTION, embedderOption } from "./custom-model.js";
import { eachInput, inputUrl, secondsSince } from "./input-file.js";
import { writeWhole } from "./partial-file.js";

/** `otolith fingerprint`: the fingerprint of one file, kept in a file. */
export const fingerprint: Command = {
  name: "fingerprint",
  summary: "take the fingerprint of a file",
  usage: ["fingerprint FILE --out F [--algorithm NAME] [--model MANIFEST|NAME] [--silence=DB]"],
  options: {
    out: { type: "string", value: "F", help: "file to write the fingerprint to" },
    algorithm: { type: "string", value: "NAME", help: "wang (default), panako: also at another tempo, pitch or speed, haitsma or neural" },
    model: EMBEDDER_OPTION,
    silence: { type: "string", value: "DB", help: "level in dBFS below which nothing is found, such as --silence=-60" },
  },
  run: async (call) => {
    const algorithm = oneOf(call, "algorithm", ALGORITHMS) ?? "wang";
    const silence = decimal(call, "silence", -100, -20);
    const out = text(call, "out");
    if (out === undefined) throw new UsageError("fingerprint needs --out F: where to write the fingerprint");
    if (call.positionals.length > 1) throw new UsageError(`fingerprint takes one file, got ${call.positionals.length}: --out names one`);
    const { name: model, models } = await embedderOption(call);
    return eachInput(call, "file", call.positionals, async (file) => {
      const began = performance.now();
      const input = await inputUrl(file);
      const engine = await call.engine(models);
      const print = await engine.fingerprint(input, {
        algorithm,
        ...(model && { model }),
        ...(silence !== undefined && { silence }),
        signal: call.signal,
        onProgress: call.terminal.progress(file),
      });
      await writeWhole(out, print.bytes(), call.signal);
      for (const warning of print.warnings) call.terminal.note(`${file}: ${warning}`);
      const { hashCount, duration } = print;
      call.terminal.result({ file, algorithm: print.algorithm, hashCount, duration, out, seconds: secondsSince(began) }, [
        `${file}: ${hashCount} hashes over ${duration.toFixed(1)} s by ${print.algorithm}, written to ${out}`,
      ]);
    });
  },
};
