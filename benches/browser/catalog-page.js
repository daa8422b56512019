// The page's half of catalog.mjs.

import { excerptOf, generator, HEADER_BYTES, peaksOf, printOf, quartiles, SECONDS } from "/generated-prints.js";
import { createEngine } from "/index.js";

export async function run({ kind, tracks, queries }) {
  const engine = await createEngine({ workers: 1 });
  const sampleRate = 8_000;
  const noise = Float32Array.from({ length: sampleRate }, generator(1));
  const sample = await engine.fingerprint({ channels: [noise], sampleRate });
  const header = sample.bytes().subarray(0, HEADER_BYTES);
  const Fingerprint = sample.constructor;
  const asPrint = (bytes) => new Fingerprint({ algorithm: "wang", profile: "default", duration: 0, hashCount: 0, warnings: [], bytes });
  const began = performance.now();
  const catalog = await engine.openCatalog({ name: "bench", storage: "opfs" });
  const openSeconds = (performance.now() - began) / 1000;
  if (kind === "fill") {
    for (let n = 0; n < tracks; n++) {
      await catalog.enrol(asPrint(printOf(header, SECONDS, peaksOf(n))), { id: `track ${n}` });
      if (n % 500 === 499) console.log(`${n + 1} tracks after ${((performance.now() - began) / 1000).toFixed(0)} s`);
    }
    const fillSeconds = (performance.now() - began) / 1000;
    await catalog.compact();
    const { bytes, storedBytes } = await catalog.stats();
    await engine.dispose();
    return { fillSeconds, bytesWhileFilling: bytes, storedBytes };
  }
  const times = [];
  let found = 0;
  for (let n = 0; n < queries + 3; n++) {
    const seed = Math.floor((n * tracks) / (queries + 3));
    const print = asPrint(excerptOf(header, seed, 8 * Math.floor(62.5 * (20 + n))));
    const started = performance.now();
    const [hit] = await catalog.match(print);
    if (n < 3) continue;
    times.push(performance.now() - started);
    if (hit?.id === `track ${seed}` && Math.abs(hit.offset - (20 + n)) < 0.05) found += 1;
  }
  const stats = await catalog.stats();
  await engine.dispose();
  return {
    openSeconds,
    queryMilliseconds: quartiles(times),
    found: `${found} of ${queries}`,
    bytesInMemory: stats.bytes,
    postings: stats.postings,
    bytesPerPosting: Number((stats.postingBytes / stats.postings).toFixed(3)),
    segments: stats.segments,
  };
}
