// A catalogue of generated fingerprints in Chromium, kept in OPFS: how long it takes to fill, to open and to ask, and how large it is.
//
//   node benches/browser/catalog.mjs [--tracks N] [--queries N] [--json FILE]
//
// The fingerprints have the peaks per second of dense music at random places, so that keys are spread evenly; a query is 10 s of one of them,
// moved by up to an eighth of a frame and bin. Needs a build (npm start -- --no-serve) and Chromium.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

import { findProgram } from "../../pkg-config/browsers.mjs";
import { serve } from "../../pkg-config/serve.mjs";

const { values } = parseArgs({
  options: { tracks: { type: "string", default: "1000" }, queries: { type: "string", default: "40" }, json: { type: "string" } },
});
const blank = (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>catalogue</title>");
const server = await serve({ folders: ["dist", "benches/browser"], csp: false, routes: { "/": blank } });
const profile = mkdtempSync(join(tmpdir(), "otolith-catalog-"));
const launch = () => chromium.launchPersistentContext(profile, { executablePath: findProgram("chromium"), args: ["--no-sandbox"] });
try {
  const tracks = Number(values.tracks);
  const run = async (task) => {
    const context = await launch();
    try {
      const page = await context.newPage();
      page.on("console", (message) => console.error(message.text()));
      await page.goto(server.url);
      return await page.evaluate(async (given) => (await import("/catalog-page.js")).run(given), task);
    } finally {
      await context.close();
    }
  };
  // A browser of its own each time: what is measured is a visit, and nothing is left in memory from the one before.
  const filled = await run({ kind: "fill", tracks });
  const opened = await run({ kind: "open", tracks, queries: Number(values.queries) });
  const report = { cpu: cpus()[0]?.model, tracks, ...filled, ...opened };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(JSON.stringify(report, null, 2));
} finally {
  rmSync(profile, { recursive: true, force: true });
  await server.close();
}
