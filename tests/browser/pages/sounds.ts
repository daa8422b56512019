/** A file as the page is given it. */
export interface GivenFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

const RATE = 44_100;

/** A mono 16 bit WAV file of a function of time in seconds. */
export function wavOf(name: string, seconds: number, sample: (time: number) => number, rate = RATE): GivenFile {
  const frames = Math.round(seconds * rate);
  const buffer = Buffer.alloc(44 + 2 * frames);
  writeHeader(buffer, rate, 2 * frames);
  for (let frame = 0; frame < frames; frame += 1) buffer.writeInt16LE(Math.round(32_767 * sample(frame / rate)), 44 + 2 * frame);
  return { name, mimeType: "audio/wav", buffer };
}

/** Clicks at a tempo: 10 ms bursts of 1 kHz, every fourth twice as strong. */
export function clicks(name: string, seconds: number, bpm: number): GivenFile {
  const period = 60 / bpm;
  return wavOf(name, seconds, (time) => {
    const beat = Math.floor(time / period);
    const since = time - beat * period;
    return since < 0.01 ? (beat % 4 === 0 ? 0.9 : 0.45) * Math.sin(2 * Math.PI * 1000 * since) : 0;
  });
}

/** A tune of pure tones with a decay, different for each seed. */
export function tune(name: string, seconds: number, seed: number): GivenFile {
  const notes: number[] = [];
  let state = seed;
  for (let time = 0; time < seconds; time += 0.25) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    notes.push(220 * 2 ** (Math.floor((state / 2 ** 31) * 24) / 12));
  }
  return wavOf(name, seconds, (time) => {
    const note = Math.floor(time / 0.25);
    const since = time - note * 0.25;
    const pitch = notes[note] ?? 440;
    const tone =
      Math.sin(2 * Math.PI * pitch * since) + 0.5 * Math.sin(4 * Math.PI * pitch * since) + 0.25 * Math.sin(6 * Math.PI * pitch * since);
    return 0.4 * Math.exp(-6 * since) * tone;
  });
}

/** A WAV file that says it is 24 hours of 8 kHz mono, and holds a second of it. */
export function declaredDay(): GivenFile {
  const buffer = Buffer.alloc(44 + 16_000);
  writeHeader(buffer, 8_000, 24 * 3600 * 16_000);
  return { name: "day.wav", mimeType: "audio/wav", buffer };
}

function writeHeader(buffer: Buffer, rate: number, dataBytes: number): void {
  buffer.write("RIFF", 0);
  buffer.writeUInt32LE(36 + dataBytes, 4);
  buffer.write("WAVEfmt ", 8);
  buffer.writeUInt32LE(16, 16);
  buffer.writeUInt16LE(1, 20);
  buffer.writeUInt16LE(1, 22);
  buffer.writeUInt32LE(rate, 24);
  buffer.writeUInt32LE(2 * rate, 28);
  buffer.writeUInt16LE(2, 32);
  buffer.writeUInt16LE(16, 34);
  buffer.write("data", 36);
  buffer.writeUInt32LE(dataBytes, 40);
}

/** Samples of a 16 bit PCM WAV file, one array per channel, in -1..1. */
export function readWav16(bytes: Buffer): { channels: Float32Array[]; sampleRate: number } {
  const count = bytes.readUInt16LE(22);
  const sampleRate = bytes.readUInt32LE(24);
  const data = bytes.indexOf("data", 12, "latin1");
  const frames = bytes.readUInt32LE(data + 4) / 2 / count;
  const channels = Array.from({ length: count }, (_, channel) =>
    Float32Array.from({ length: frames }, (_, frame) => bytes.readInt16LE(data + 8 + 2 * (frame * count + channel)) / 32_768),
  );
  return { channels, sampleRate };
}
