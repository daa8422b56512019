// The package's declarations under the strictest settings.
import { type BeatTrack, createEngine, type Match, OtolithError } from "otolith";

export async function tempoOf(samples: Float32Array<ArrayBuffer>): Promise<number | null> {
  await using engine = await createEngine({ workers: 2 });
  const track: BeatTrack = await engine.beats({ channels: [samples], sampleRate: 44100 });
  return track.tempo.bpm;
}

export async function find(clip: Uint8Array<ArrayBuffer>, catalogFile: Uint8Array<ArrayBuffer>): Promise<readonly Match[]> {
  await using engine = await createEngine();
  const catalog = await engine.openCatalog();
  await catalog.import(catalogFile);
  try {
    return await catalog.match(clip, { top: 3 });
  } catch (error) {
    if (error instanceof OtolithError && error.code === "too-short") return [];
    throw error;
  }
}
