// Lists the longest tasks of the playground's main thread while its example is separated in Chromium.
//
//   node benches/browser/main-thread.mjs [--rounds N] [--json FILE]
//
// A task's wall time also holds what other programs took from it, so both that and its processor time are given. Beside each task stand
// the parts of it that took the most. The exit status is 1 if a task took 50 ms of processor time in every round: visitors notice those. Needs
// a build (npm start -- --no-serve) and Chromium.
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import puppeteer from "puppeteer-core";

import { findProgram } from "../../pkg-config/browsers.mjs";
import { root } from "../../pkg-config/paths.mjs";
import { serve } from "../../pkg-config/serve.mjs";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" }, json: { type: "string" } } });
const LIMIT_MS = 50;
const LISTED = 5;
const PARTS = 4;

const server = await serve({ folders: [join(root, "www/dist")] });
const rounds = [];
try {
  for (let round = 0; round < Number(values.rounds); round++) rounds.push(await separation());
} finally {
  await server.close();
}
const report = { cpu: cpus()[0]?.model, rounds };
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
console.log(JSON.stringify(report, null, 2));
if (rounds.every(({ longest: [first] }) => first.processorMs > LIMIT_MS)) process.exitCode = 1;

/** The longest tasks of one separation in a fresh browser. */
async function separation() {
  // Watching the network would keep a second copy of every body, made in the page's own tasks.
  const browser = await puppeteer.launch({ executablePath: findProgram("chromium"), args: ["--no-sandbox"], networkEnabled: false });
  try {
    const page = await browser.newPage();
    await page.setViewport({ width: 1280, height: 800 });
    // By text: finding by role would have the page keep an accessibility tree, tasks of 20 ms.
    const shown = (text) => page.locator(`::-p-text(${text})`);
    await page.goto(server.url);
    await shown("Try the example").click();
    await shown("Show beats as table").wait();
    await page.tracing.start({ categories: ["devtools.timeline", "disabled-by-default-devtools.timeline", "blink", "v8"] });
    await shown("Separate vocals").click();
    await shown("Separate again").setTimeout(150_000).wait();
    const trace = await page.tracing.stop();
    return longest(ofMainThread(JSON.parse(new TextDecoder().decode(trace)).traceEvents));
  } finally {
    await browser.close();
  }
}

/** Events of the page's thread: of the renderers' main threads, some of which show the browser's own pages, that of the process which has ours. */
function ofMainThread(events) {
  const frames = events.find(({ name }) => name === "TracingStartedInBrowser").args.data.frames;
  const { processId } = frames.find(({ url }) => url.startsWith(server.url));
  const isMain = ({ name, pid, args }) => name === "thread_name" && pid === processId && args.name === "CrRendererMain";
  const { pid, tid } = events.find(isMain);
  return events.filter((event) => event.pid === pid && event.tid === tid && event.dur !== undefined);
}

function longest(events) {
  const tasks = events.filter(({ name, tdur }) => name === "RunTask" && tdur !== undefined).toSorted((a, b) => b.tdur - a.tdur);
  return {
    tasks: tasks.length,
    longest: tasks.slice(0, LISTED).map((task) => ({
      processorMs: task.tdur / 1000,
      wallMs: task.dur / 1000,
      parts: events
        .filter((event) => event !== task && event.ts >= task.ts && event.ts + event.dur <= task.ts + task.dur)
        .toSorted((a, b) => b.dur - a.dur)
        .slice(0, PARTS)
        .map(({ name, dur, args }) => `${name} ${args?.data?.functionName ?? args?.data?.type ?? ""} ${(dur / 1000).toFixed(1)} ms`),
    })),
  };
}
