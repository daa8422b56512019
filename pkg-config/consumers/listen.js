// What every consumer does with the package, so that results can be compared bit for bit between Node and pages.

/** Twelve seconds of clicks at 120 BPM over a faint tone that climbs every other click, by formula: the same samples everywhere. */
function clicks() {
  const sampleRate = 22050;
  const samples = new Float32Array(12 * sampleRate);
  for (let n = 0; n < samples.length; n++) {
    const sinceClick = n % (sampleRate / 2);
    const click = sinceClick < 200 ? (((n * 2654435761) % 4294967296) / 2147483648 - 1) * (1 - sinceClick / 200) : 0;
    const step = 1 + Math.floor(n / sampleRate);
    samples[n] = 0.8 * click + 0.05 * (((n * step * 13) % 441) / 220.5 - 1);
  }
  return { channels: [samples], sampleRate };
}

/** Beats and fingerprint as text: equal text means equal bits. */
export async function listen(createEngine) {
  const engine = await createEngine({ workers: 1 });
  try {
    const { beats, tempo } = await engine.beats(clicks());
    const print = await engine.fingerprint(clicks());
    return { beats: Array.from(beats), bpm: tempo.bpm, hashCount: print.hashCount, print: Array.from(print.bytes()).join(" ") };
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}

/** Two seconds separated by the shipped model: names and lengths of the stems. */
export async function separate(createEngine) {
  const engine = await createEngine({ workers: 1 });
  try {
    const { channels, sampleRate } = clicks();
    const { stems } = await engine.separate({ channels: [channels[0].slice(0, 2 * sampleRate)], sampleRate }, { stems: 2 });
    return Object.entries(stems).map(([name, audio]) => [name, audio.channels[0].length]);
  } finally {
    await engine[Symbol.asyncDispose]();
  }
}
