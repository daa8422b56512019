/** Beats as lines of `seconds,is_downbeat`, times to a tenth of a millisecond. */
export function beatsCsv({ beats, downbeats }: { beats: Float64Array; downbeats: Float64Array }): string {
  const strong = new Set(downbeats);
  const lines = Array.from(beats, (time) => `${time.toFixed(4)},${strong.has(time) ? 1 : 0}`);
  return `seconds,is_downbeat\n${lines.join("\n")}\n`;
}
