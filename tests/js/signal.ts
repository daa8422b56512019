// Sounds for tests, made from closed forms and seeds.

/** Numbers in -1..1 that look random and are the same every time (Park and Miller's generator, 1988). */
export function noise(length: number, seed = 1): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 48271) % 2147483647;
    return (state / 2147483647) * 2 - 1;
  });
}

/** A sine of amplitude 0.5. */
export function sine(length: number, frequency: number, sampleRate: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, n) => 0.5 * Math.sin((2 * Math.PI * frequency * n) / sampleRate));
}

/** Clicks of 10 ms, one per beat from time 0. */
export function clicks(seconds: number, bpm: number, sampleRate: number): Float32Array<ArrayBuffer> {
  const period = (60 / bpm) * sampleRate;
  return Float32Array.from({ length: Math.round(seconds * sampleRate) }, (_, n) => {
    const since = n - Math.round(Math.floor(n / period) * period);
    return since < 0.01 * sampleRate ? 0.8 * Math.exp(-since / 100) * Math.sin((2 * Math.PI * 1000 * since) / sampleRate) : 0;
  });
}

/** A melody of decaying tones with changing pitch: something with landmarks in it. */
export function melody(seconds: number, sampleRate: number, seed = 1): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(Math.round(seconds * sampleRate));
  const pitches = noise(Math.ceil(seconds * 4) * 3, seed);
  for (const [note, value] of pitches.entries()) {
    const frequency = 220 * 2 ** (Math.round((value + 1) * 18) / 12);
    const start = Math.floor((note / 3) * 0.25 * sampleRate);
    for (let n = 0; n < 0.4 * sampleRate && start + n < samples.length; n++) {
      const time = n / sampleRate;
      samples[start + n] = (samples[start + n] ?? 0) + 0.2 * Math.exp(-6 * time) * Math.sin(2 * Math.PI * frequency * time);
    }
  }
  return samples;
}

/** A WAV file of 16-bit samples, written from the format's description (Microsoft and IBM, 1991). */
export function wav16(channels: readonly Float32Array[], sampleRate: number): ArrayBuffer {
  const frames = channels[0]?.length ?? 0;
  const block = channels.length * 2;
  const view = new DataView(new ArrayBuffer(44 + frames * block));
  const text = (at: number, value: string) => {
    for (const [index, char] of [...value].entries()) view.setUint8(at + index, char.charCodeAt(0));
  };
  text(0, "RIFF");
  view.setUint32(4, 36 + frames * block, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * block, true);
  view.setUint16(32, block, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, frames * block, true);
  for (const [index, channel] of channels.entries())
    for (const [n, sample] of channel.entries()) view.setInt16(44 + n * block + index * 2, Math.round(sample * 32767), true);
  return view.buffer;
}
