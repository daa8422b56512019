// Beats of a file of f32 samples by the npm package music-tempo, as JSON: node tools/music_tempo.mjs FOLDER_OF_NODE_MODULES SAMPLES.f32
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, file] = process.argv.slice(2);
const MusicTempo = createRequire(`${folder}/package.json`)("music-tempo");
const bytes = readFileSync(file);
const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const began = performance.now();
const { beats, tempo } = new MusicTempo(samples);
console.log(JSON.stringify({ beats, bpm: Number(tempo), seconds: (performance.now() - began) / 1000 }));
