// Sound files for the command line's tests, made from formulas and seeds.
import { writeFileSync } from "node:fs";

/** A repeatable stream of numbers in 0..1 (Park and Miller's generator). */
export function random(seed: number): () => number {
  let state = seed % 2147483647 || 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** White noise of one channel, at an RMS of about -15 dBFS. */
export function noise(seconds: number, sampleRate: number, seed: number): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length: Math.round(seconds * sampleRate) }, () => (next() - 0.5) * 0.6);
}

/** A tune of random notes and overtones over faint noise: as distinct from one of another seed as two songs are. */
export function tune(seconds: number, sampleRate: number, seed: number): Float32Array {
  const next = random(seed);
  const samples = new Float32Array(Math.round(seconds * sampleRate));
  for (let at = 0; at < samples.length; ) {
    const length = Math.round((0.12 + 0.2 * next()) * sampleRate);
    const pitches = [0, 1, 2].map(() => 110 * 2 ** (Math.floor(next() * 48) / 12));
    for (let n = 0; n < length && at + n < samples.length; n++) {
      const decay = Math.exp((-4 * n) / length);
      for (const pitch of pitches)
        samples[at + n] =
          (samples[at + n] ?? 0) +
          0.12 * decay * (Math.sin((2 * Math.PI * pitch * n) / sampleRate) + 0.4 * Math.sin((4 * Math.PI * pitch * n) / sampleRate));
    }
    at += length;
  }
  return samples.map((value) => value + (next() - 0.5) * 0.01);
}

/** A click every `60 / bpm` seconds, the first at 0.25 s: 10 ms of decaying noise. */
export function clicks(seconds: number, sampleRate: number, bpm: number): Float32Array {
  const next = random(7);
  const samples = new Float32Array(Math.round(seconds * sampleRate));
  for (let time = 0.25; time < seconds; time += 60 / bpm) {
    const at = Math.round(time * sampleRate);
    for (let n = 0; n < 0.01 * sampleRate && at + n < samples.length; n++)
      samples[at + n] = 0.9 * (next() - 0.5) * Math.exp((-5 * n) / (0.01 * sampleRate));
  }
  return samples;
}

/** The 44 bytes of a WAV header for 32-bit float samples; `frames` may claim more than there is. */
function header(channels: number, sampleRate: number, frames: number): Buffer {
  const bytes = Buffer.alloc(44);
  const dataLength = frames * channels * 4;
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(Math.min(36 + dataLength, 0xffffffff), 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(3, 20);
  bytes.writeUInt16LE(channels, 22);
  bytes.writeUInt32LE(sampleRate, 24);
  bytes.writeUInt32LE(sampleRate * channels * 4, 28);
  bytes.writeUInt16LE(channels * 4, 32);
  bytes.writeUInt16LE(32, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(Math.min(dataLength, 0xffffffff), 40);
  return bytes;
}

/** Writes a WAV file of 32-bit floats and gives its path. */
export function writeWav(path: string, channels: readonly Float32Array[], sampleRate: number): string {
  const frames = channels[0]?.length ?? 0;
  const body = Buffer.alloc(frames * channels.length * 4);
  for (let frame = 0; frame < frames; frame++)
    channels.forEach((channel, index) => {
      body.writeFloatLE(channel[frame] ?? 0, (frame * channels.length + index) * 4);
    });
  writeFileSync(path, Buffer.concat([header(channels.length, sampleRate, frames), body]));
  return path;
}

/** Writes a WAV file that claims `frames` and has a second of them. */
export function writeClaim(path: string, sampleRate: number, frames: number): string {
  writeFileSync(path, Buffer.concat([header(1, sampleRate, frames), Buffer.alloc(sampleRate * 4)]));
  return path;
}

/** Samples of a WAV file of 32-bit floats as the command line writes it. */
export function readWav(bytes: Buffer): { readonly sampleRate: number; readonly channels: readonly Float32Array[] } {
  let at = 12;
  let sampleRate = 0;
  let count = 0;
  while (at + 8 <= bytes.length) {
    const name = bytes.toString("latin1", at, at + 4);
    const length = bytes.readUInt32LE(at + 4);
    if (name === "fmt ") {
      count = bytes.readUInt16LE(at + 10);
      sampleRate = bytes.readUInt32LE(at + 12);
    }
    if (name === "data") {
      const frames = length / 4 / count;
      const channels = Array.from({ length: count }, (_, channel) =>
        Float32Array.from({ length: frames }, (_, frame) => bytes.readFloatLE(at + 8 + (frame * count + channel) * 4)),
      );
      return { sampleRate, channels };
    }
    at += 8 + length + (length % 2);
  }
  throw new Error("a WAV file without data");
}
