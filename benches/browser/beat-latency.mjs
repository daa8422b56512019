// How long after a beat's sample has entered an AudioWorklet the page is given the beat, in Chromium: worklet, port, page, worker, page.
//
//   node benches/browser/beat-latency.mjs [--method flux|tcn] [--seconds N] [--json FILE]
//
// The sound is a generated drum loop, played in real time; the first eight seconds, in which the stream finds the tempo, are left out. The
// worklet hands over 512 samples at a time. Both ends are read from the system's clock, in whole milliseconds. Needs a build (npm start --
// --no-serve) and Chromium.
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

import { findProgram } from "../../pkg-config/browsers.mjs";
import { serve } from "../../pkg-config/serve.mjs";

const { values } = parseArgs({
  options: { method: { type: "string", default: "flux" }, seconds: { type: "string", default: "60" }, json: { type: "string" } },
});
const blank = (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>latency</title>");
const server = await serve({ folders: ["dist", "benches/browser"], csp: false, routes: { "/": blank } });
const args = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"];
const browser = await chromium.launch({ executablePath: findProgram("chromium"), args });
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.error(message.text()));
  await page.goto(server.url);
  const task = { method: values.method, seconds: Number(values.seconds) };
  const measured = await page.evaluate(async (given) => (await import("/beat-latency-page.js")).run(given), task);
  const report = { cpu: cpus()[0]?.model, load: loadavg()[0], ...measured };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(JSON.stringify(report, null, 2));
} finally {
  await browser.close();
  await server.close();
}
