// One line per step of set-up: its name, why it is done, how long it usually takes, then how long it took.
import { isFresh, writeStamp } from "./stamp.mjs";

export const seconds = (ms) =>
  ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : ms < 90000 ? `${Math.round(ms / 1000)} s` : `${(ms / 60000).toFixed(1)} min`;

/**
 * Runs one step unless its stamp is fresh.
 * @param {object} step
 * @param {string} step.name shown, and the stamp's name
 * @param {string} step.reason why it is needed, in a few words
 * @param {string} step.expected usual duration on two cores
 * @param {() => string} [step.digest] digest of its inputs; without it the step always runs
 * @param {string[]} [step.outputs] files that must exist for the stamp to count
 * @param {() => Promise<string | undefined>} step.work may return a word on what it did
 * @param {(line: string) => void} say where lines go
 * @returns {Promise<boolean>} whether the work was done
 */
export async function step({ name, reason, expected, digest, outputs, work }, say) {
  const value = digest?.();
  if (value !== undefined && isFresh(name, value, outputs)) return false;
  say(`${name}: ${reason} (about ${expected})`);
  const began = performance.now();
  const note = await work();
  if (value !== undefined) writeStamp(name, digest());
  say(`${name}: done in ${seconds(performance.now() - began)}${note ? `, ${note}` : ""}`);
  return true;
}
