import type { BeatEvent, BeatMethod } from "../node.js";
import type { Call, Command } from "./command.js";
import { oneOf, text, UsageError } from "./command.js";
import { eachInput, inputUrl, secondsSince } from "./input-file.js";
import { writeWhole } from "./partial-file.js";

/** `otolith beats`: when the beats fall, and the tempo. */
export const beats: Command = {
  name: "beats",
  summary: "find beats, downbeats and tempo",
  usage: ["beats FILE... [--method auto|tcn|flux] [--click OUT.wav]", "beats FILE... --stream [--method auto|tcn|flux]"],
  options: {
    method: {
      type: "string",
      value: "NAME",
      help: "flux (default), spectral flux; tcn, the trained network; auto, the network if it can be had",
    },
    click: { type: "string", value: "OUT.wav", help: "write the sound with a click on every beat, a higher one on downbeats" },
    stream: { type: "boolean", help: "hear the file as it would come from a microphone, and print each beat as it is told" },
  },
  run: async (call) => {
    const method = oneOf(call, "method", ["auto", "tcn", "flux"]);
    const click = text(call, "click");
    if (call.values.stream) {
      if (click !== undefined) throw new UsageError("--click needs the whole track: leave out --stream");
      return eachInput(call, "file", call.positionals, (file) => streamFile(call, file, method));
    }
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

/** Samples that are pushed at once: those of an AudioWorklet's frame, eight times. */
const PIECE = 1024;

/** Pushes the file through a stream and prints the events. */
async function streamFile(call: Call, file: string, method: BeatMethod | undefined): Promise<void> {
  const began = performance.now();
  const engine = await call.engine();
  const { channels, sampleRate } = await engine.decode(await inputUrl(file), {
    signal: call.signal,
    onProgress: call.terminal.progress(file),
  });
  using stream = await engine.beatStream({ sampleRate, ...(method && { method }) });
  const events: BeatEvent[] = [];
  for (let start = 0; start < (channels[0]?.length ?? 0); start += PIECE) {
    call.signal.throwIfAborted();
    events.push(...(await stream.push(channels.map((channel) => channel.subarray(start, start + PIECE)))));
  }
  events.push(...(await stream.flush()));
  const { latency, model, notice, replaced } = stream;
  call.terminal.result({ file, events, latency, method: stream.method, model, notice, replaced, seconds: secondsSince(began) }, [
    `${file}: ${events.length} beats by ${stream.method}, at most ${(1000 * latency).toFixed(0)} ms late${notice ? `; ${notice}` : ""}`,
    ...events.map(lineOf),
  ]);
}

function lineOf({ time, downbeat, bpm, confidence, extrapolated, emittedAt }: BeatEvent): string {
  const words = [time.toFixed(3), emittedAt.toFixed(3), `${bpm.toFixed(1)} BPM`, confidence.toFixed(2)];
  return [...words, ...(downbeat ? ["downbeat"] : []), ...(extrapolated ? ["extrapolated"] : [])].join("\t");
}
