// Fingerprints of no sound: the peaks per second of dense music at random places, so that keys are spread evenly.

/** Seconds of a track. */
export const SECONDS = 210;
const PEAKS_PER_SECOND = 36;
/** Bytes of a stored fingerprint's header. */
export const HEADER_BYTES = 32;

/** Numbers of a 32-bit generator (mulberry32), the same for a seed everywhere. */
export function generator(seed) {
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
export function peaksOf(seed) {
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
export function printOf(header, seconds, peaks) {
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
export function excerptOf(header, seed, from) {
  const random = generator(seed + 7_000_000);
  const moved = ([t, f, level]) => [t - from, f + Math.round(2 * random() - 1), level];
  const inside = peaksOf(seed).filter(([t]) => t >= from && t < from + 5_000);
  return printOf(header, 10, inside.map(moved));
}

/** Quartiles and the largest of numbers. */
export function quartiles(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share) => Number(sorted[Math.round(share * (sorted.length - 1))].toFixed(2));
  return { lower: at(0.25), median: at(0.5), upper: at(0.75), most: at(1) };
}
