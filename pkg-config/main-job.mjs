// The main job of npm start, by the built package alone: stems, beats, and a clip found among enrolled songs.
import { readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, extname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { dist, root } from "./paths.mjs";
import { seconds } from "./step.mjs";

const examples = join(root, "www/public");
const clipSeconds = 5;

/** The middle of a sound: `clipSeconds` of it, or all where it is shorter. */
function cut({ channels, sampleRate }) {
  const frames = channels[0].length;
  const length = Math.min(frames, Math.round(clipSeconds * sampleRate));
  const from = Math.floor((frames - length) / 2);
  return {
    start: from / sampleRate,
    length: length / sampleRate,
    sound: { channels: channels.map((one) => one.slice(from, from + length)), sampleRate },
  };
}

/** The songs that come with the project: what a clip must not be taken for. */
const bundledSongs = () =>
  readdirSync(examples)
    .filter((name) => name.endsWith(".flac"))
    .map((name) => join(examples, name));

/**
 * Runs the main job.
 * @param {string} file a sound file
 * @param {string} out folder for the stems
 * @returns {Promise<string[][]>} rows of the table: a name, what came out, how long it took
 */
export async function runMainJob(file, out) {
  const { createEngine } = await import(pathToFileURL(join(dist, "node.js")).href);
  const engine = await createEngine();
  const rows = [];
  try {
    const timed = async (name, work) => {
      const began = performance.now();
      const said = await work();
      rows.push([name, said, `(${seconds(performance.now() - began)})`]);
    };
    const title = basename(file, extname(file));
    const input = pathToFileURL(file);
    let sound;
    await timed("sound", async () => {
      sound = await engine.decode(input);
      const { channels, sampleRate } = sound;
      return `${(channels[0].length / sampleRate).toFixed(1)} s, ${channels.length} channel${channels.length > 1 ? "s" : ""}, ${sampleRate} Hz`;
    });
    await timed("stems", async () => {
      const { stems, model } = await engine.separate(sound, { stems: 2 });
      const folder = join(out, title);
      await mkdir(folder, { recursive: true });
      const paths = [];
      for (const [stem, audio] of Object.entries(stems)) {
        const path = join(folder, `${stem}.wav`);
        await writeFile(path, await engine.encodeWav(audio, { format: "wav24" }));
        paths.push(relative(root, path));
      }
      return `${paths.join(", ")} by ${model.name} ${model.version}`;
    });
    await timed("beats", async () => {
      const { tempo, beats, method } = await engine.beats(sound);
      const bpm = tempo.bpm === null ? "no steady tempo" : `${tempo.bpm.toFixed(1)} BPM (confidence ${tempo.confidence.toFixed(2)})`;
      return `${bpm}, ${beats.length} beats${beats.length > 0 ? `, the first at ${beats[0].toFixed(2)} s` : ""}, method ${method}`;
    });
    await timed("match", async () => {
      const catalog = await engine.openCatalog();
      await catalog.enrol(sound, { id: title });
      const others = bundledSongs().filter((song) => song !== file);
      for (const song of others) await catalog.enrol(pathToFileURL(song), { id: `bundled ${basename(song, ".flac")}` });
      const clip = cut(sound);
      const [hit] = await catalog.match(clip.sound, { top: 1 });
      const asked = `${clip.length.toFixed(1)} s from ${clip.start.toFixed(2)} s on, among ${others.length + 1} enrolled songs`;
      return hit ? `${asked}: ${hit.id} at ${hit.offset.toFixed(2)} s (confidence ${hit.confidence.toFixed(2)})` : `${asked}: no match`;
    });
  } finally {
    await engine[Symbol.asyncDispose]();
  }
  return rows;
}
