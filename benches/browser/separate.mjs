// Times one chunk of the separator in otolith and the same ONNX file in onnxruntime-web: one page, one worker, one thread each, in turns.
//
//   node benches/browser/separate.mjs [--model NAME] [--rounds N] [--json FILE]
//
// otolith's time is a whole chunk: transform, network, masks, consistency and inverse transform. onnxruntime-web's is the network alone,
// so the ratio flatters it. Needs a build (npm start -- --no-serve) and Chromium; onnxruntime-web is installed under benches/peers/.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

import { findProgram } from "../../pkg-config/browsers.mjs";
import { root } from "../../pkg-config/paths.mjs";
import { serve } from "../../pkg-config/serve.mjs";

const { values } = parseArgs({
  options: { model: { type: "string", default: "separator-2-lite" }, rounds: { type: "string", default: "9" }, json: { type: "string" } },
});

const peers = join(root, "benches/peers");
if (!existsSync(join(peers, "node_modules/onnxruntime-web"))) execFileSync("npm", ["ci"], { cwd: peers, stdio: "inherit" });

const { models } = JSON.parse(readFileSync(join(root, "models/manifest.json"), "utf8"));
const entry = models.find(({ name }) => name === values.model);
if (!entry) throw new Error(`there is no model ${values.model}`);

const folders = ["benches/browser", ".tools/wasm", "models", "benches/peers/node_modules/onnxruntime-web/dist"];
const server = await serve({ folders, csp: false });
const browser = await chromium.launch({ executablePath: findProgram("chromium"), args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}/page.html`);
  const times = await page.evaluate(
    (task) =>
      new Promise((settle, fail) => {
        const worker = new Worker("/chunk-worker.js", { type: "module" });
        worker.onmessage = ({ data }) => settle(data);
        worker.onerror = (event) => fail(new Error(event.message));
        worker.postMessage(task);
      }),
    { entry, rounds: Number(values.rounds) },
  );
  const report = { model: `${entry.name} ${entry.model_version}`, browser: browser.version(), cpu: cpus()[0]?.model, ...summary(times) };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(JSON.stringify(report, null, 2));
} finally {
  await browser.close();
  await server.close();
}

/** Medians and quartiles of the times and of their ratios, round by round. */
function summary({ ours, theirs, oursAgain }) {
  return {
    otolithSeconds: quartiles(ours),
    onnxruntimeSeconds: quartiles(theirs),
    ratio: quartiles(ours.map((seconds, round) => seconds / theirs[round])),
    // Both halves are the same work: how far from 1 this lies tells how noisy the machine was.
    otolithAgainstItself: quartiles(ours.map((seconds, round) => seconds / oursAgain[round])),
  };
}

function quartiles(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share) => Number(sorted[Math.round(share * (sorted.length - 1))].toFixed(3));
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
}
