// The page's half of catalog.mjs.
import { createEngine } from "/index.js";

const SECONDS = 210;
const PEAKS_PER_SECOND = 36;
const HEADER_BYTES = 32;

/** Numbers of a 32-bit generator (mulberry32), the same for a seed everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const table = Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Peaks of a track: time in eighths of a frame (of 16 ms), frequency in eighths of a bin, level. */
function peaksOf(seed) {
  const random = generator(seed);
  const count = SECONDS * PEAKS_PER_SECOND;
  const spacing = (SECONDS * 62.5 * 8) / count;
  return Array.from({ length: count }, (_, n) => [
    Math.round((n + 0.8 * random()) * spacing),
    Math.round(8 * (17 + 477 * random())),
    20_000 + Math.round(8_000 * random()),
  ]);
}

/** A print of these peaks, in the bytes of one, of which `header` is the beginning. */
function printOf(header, seconds, peaks) {
  const bytes = new Uint8Array(HEADER_BYTES + 20 + 8 * peaks.length);
  const view = new DataView(bytes.buffer);
  bytes.set(header);
  view.setFloat64(HEADER_BYTES, seconds, true);
  view.setUint32(HEADER_BYTES + 12, 1, true);
  view.setUint32(HEADER_BYTES + 16, peaks.length, true);
  for (const [index, [t, f, level]] of peaks.entries()) {
    const at = HEADER_BYTES + 20 + 8 * index;
    view.setUint32(at, t, true);
    view.setUint16(at + 4, f, true);
    view.setUint16(at + 6, level, true);
  }
  view.setBigUint64(16, BigInt(bytes.length - HEADER_BYTES), true);
  view.setUint32(24, crc32(bytes.subarray(HEADER_BYTES)), true);
  view.setUint32(28, crc32(bytes.subarray(0, 28)), true);
  return bytes;
}

/** Ten seconds of a track's peaks, each moved a little. */
function excerptOf(header, seed, from) {
  const random = generator(seed + 7_000_000);
  const moved = ([t, f, level]) => [t - from, f + Math.round(2 * random() - 1), level];
  const inside = peaksOf(seed).filter(([t]) => t >= from && t < from + 5_000);
  return printOf(header, 10, inside.map(moved));
}

function quartiles(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share) => Number(sorted[Math.round(share * (sorted.length - 1))].toFixed(2));
  return { lower: at(0.25), median: at(0.5), upper: at(0.75), most: at(1) };
}

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
