// Runs test layers, sums what their runners report, and ends with one line: `N passed, N failed, N skipped`.
//
// A layer is `{ name, limitMs, unavailable?, run }`. `unavailable()` gives a reason when the machine lacks what the layer needs.
// `run()` gives the cases its runner reported and how the runner itself ended. A runner that dies, hangs past its limit or reports
// no test is a failure of its own: silence never counts as success.
import { seconds } from "./step.mjs";

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {"passed" | "failed" | "skipped"} status
 * @property {string} [message] what went wrong
 * @property {string} [reason] why it was skipped
 * @property {string} [repeat] the command that repeats it alone
 *
 * @typedef {object} RunnerEnd how one runner ended
 * @property {string} runner
 * @property {number | null} status
 * @property {boolean} timedOut
 * @property {string} [log]
 * @property {string} [tail] the end of its output
 *
 * @typedef {object} Layer
 * @property {string} name
 * @property {number} limitMs
 * @property {() => Promise<string | undefined>} [unavailable]
 * @property {(options: { filter?: string, verbose: boolean, limitMs: number }) => Promise<{ cases: Case[], ends: RunnerEnd[] }>} run
 */

/** Cases that stand for a runner that did not end well. */
function runnerFailures(layer, { cases, ends }, filter) {
  const failures = [];
  const repeat = `npm test -- --layer ${layer.name}`;
  for (const end of ends) {
    const message = [end.tail, end.log && `full log: ${end.log}`].filter(Boolean).join("\n");
    if (end.timedOut) failures.push({ name: `${end.runner}: did not end within its limit`, status: "failed", message, repeat });
    else if (end.status !== 0 && !cases.some(({ status, runner }) => status === "failed" && (runner ?? end.runner) === end.runner))
      failures.push({ name: `${end.runner}: ended with status ${end.status} and no failed test`, status: "failed", message, repeat });
  }
  if (cases.length === 0 && failures.length === 0 && !filter)
    failures.push({ name: `${layer.name}: reported no test`, status: "failed", message: "a layer without tests guards nothing", repeat });
  return failures;
}

async function runLayer(layer, { filter, verbose, requireAll }) {
  const reason = await layer.unavailable?.();
  if (reason) return [{ name: `layer ${layer.name}`, status: requireAll ? "failed" : "skipped", reason, message: reason }];
  try {
    const result = await layer.run({ filter, verbose, limitMs: layer.limitMs });
    const cases = result.cases.map((one) =>
      requireAll && one.status === "skipped" ? { ...one, status: "failed", message: `skipped: ${one.reason ?? "no reason"}` } : one,
    );
    return [...cases, ...runnerFailures(layer, result, filter)];
  } catch (error) {
    return [{ name: `${layer.name}: its runner could not be started`, status: "failed", message: String(error?.stack ?? error) }];
  }
}

/**
 * Runs all `layers` in order.
 * @param {Layer[]} layers
 * @param {{ filter?: string, verbose?: boolean, requireAll?: boolean, say?: (line: string) => void }} options
 * @returns {Promise<number>} the exit status: 0 only with nothing failed and something run
 */
export async function runLayers(layers, { filter, verbose = false, requireAll = false, say = console.log } = {}) {
  const began = performance.now();
  const all = [];
  const times = [];
  for (const layer of layers) {
    const start = performance.now();
    const cases = await runLayer(layer, { filter, verbose, requireAll });
    const took = performance.now() - start;
    const count = (status) => cases.filter((one) => one.status === status).length;
    say(
      `layer ${layer.name.padEnd(10)} ${String(count("passed")).padStart(4)} passed ${String(count("failed")).padStart(3)} failed ${String(count("skipped")).padStart(3)} skipped   ${seconds(took)}`,
    );
    all.push(...cases.map((one) => ({ ...one, layer: layer.name })));
    times.push([layer.name, took]);
  }
  const whole = performance.now() - began;
  say(`time: ${times.map(([name, took]) => `${name} ${seconds(took)} (${Math.round((100 * took) / whole)} %)`).join(", ")}`);

  const failed = all.filter(({ status }) => status === "failed");
  for (const { layer, name, message, repeat } of failed) {
    say(`\nFAILED [${layer}] ${name}`);
    if (message) say(indent(message));
    if (repeat) say(`  repeat: ${repeat}`);
  }
  const skipped = all.filter(({ status }) => status === "skipped");
  if (skipped.length > 0) say("");
  for (const { layer, name, reason } of skipped) say(`skipped [${layer}] ${name}: ${reason ?? "no reason given"}`);

  const passed = all.filter(({ status }) => status === "passed").length;
  if (all.length === 0) say(`\nno test matches${filter ? ` --filter ${filter}` : ""}`);
  say(`\n${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return failed.length > 0 || all.length === 0 ? 1 : 0;
}

const indent = (text) =>
  text
    .trimEnd()
    .split("\n")
    .slice(0, 60)
    .map((line) => `  ${line}`)
    .join("\n");
