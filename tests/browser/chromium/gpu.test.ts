// The graphics processor, by Chromium's own software adapter: it computes what a card would, slowly.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fixtureModel } from "../../js/fixture-models.js";
import { inPage, serveEngine, song } from "../engine-page.js";
import { launchChromium } from "../launch.js";

const runtimeFolder = "benches/peers/node_modules/onnxruntime-web/dist";
const runtime = "/ort.webgpu.min.mjs";
const isInstalled = existsSync(fileURLToPath(new URL(`../../../${runtimeFolder}${runtime}`, import.meta.url)));
const quarters = fixtureModel("mask-quarters").manifest;
const modelPath = `/models/${quarters.file}`;
const workerScript = readFileSync(fileURLToPath(new URL("../../../dist/worker.js", import.meta.url)), "utf8");

/** Asks the server for this whenever a script looks at `navigator.gpu`. */
const TOUCHED = "/touched-gpu";
const watch = (scope: string) => `{
  const { get } = Object.getOwnPropertyDescriptor(${scope}.prototype, "gpu") ?? {};
  Object.defineProperty(${scope}.prototype, "gpu", { configurable: true, get() {
    const request = new XMLHttpRequest();
    request.open("GET", "${TOUCHED}", false);
    request.send();
    return get?.call(this);
  } });
}`;

/** onnxruntime-web with `change` made to what a session's run gives; `runs` counts those of the chunks: the probe makes two before. */
const changed = (change: string) => `
  import * as ort from "${runtime}";
  let runs = -2;
  const { create } = ort.InferenceSession;
  export const env = ort.env;
  export const Tensor = ort.Tensor;
  export const InferenceSession = { create: async (...given) => {
    const session = await create.apply(ort.InferenceSession, given);
    const { inputNames, outputNames } = session;
    return { inputNames, outputNames, run: async (input) => {
      runs += 1;
      const outputs = await session.run(input);
      const output = outputs[outputNames[0]];
      ${change}
      return outputs;
    } };
  } };`;
const withData = (edit: string) =>
  `const data = await output.getData(); ${edit}; return { [outputNames[0]]: new ort.Tensor("float32", data, output.dims) };`;

const modules: Record<string, string> = {
  "/lost.mjs": changed("if (runs === 2) { (await ort.env.webgpu.device).destroy(); await new Promise(() => {}); }"),
  "/rejects.mjs": changed("if (runs === 2) throw new Error('out of memory');"),
  "/nan.mjs": changed(withData("if (runs === 2) data[1000] = NaN")),
  "/shape.mjs": changed("if (runs === 2) return { [outputNames[0]]: new ort.Tensor('float32', new Float32Array(6), [1, 2, 3]) };"),
  "/wrong.mjs": changed(withData("data.fill(0.2)")),
  "/infinite.mjs": changed(withData("data[7] = Infinity")),
  "/broken.mjs": "export const InferenceSession = nothing;",
};

let browser: Browser;
let server: Awaited<ReturnType<typeof serveEngine>>;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]);
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  const script = (text: string) => (_: unknown, response: import("node:http").ServerResponse) =>
    void response.writeHead(200, { "content-type": "text/javascript" }).end(text);
  const forger = `{
    const { postMessage } = self;
    self.postMessage = (message, transfer) => {
      if (message.result?.stems && message.result.device) message.result.device = "webgpu";
      postMessage.call(self, message, transfer);
    };
  }`;
  server = await serveEngine({
    folders: ["dist", "tests/data", runtimeFolder],
    routes: {
      ...Object.fromEntries(Object.entries(modules).map(([path, text]) => [path, script(text)])),
      "/watched-worker.js": script(watch("WorkerNavigator") + workerScript),
      "/forging-worker.js": script(watch("WorkerNavigator") + forger + workerScript),
      [TOUCHED]: (_, response) => void response.writeHead(204).end(),
      "/mapped": (_, response) =>
        void response
          .writeHead(200, { "content-type": "text/html" })
          .end(`<!doctype html><script type="importmap">{"imports":{"onnxruntime-web/webgpu":"${runtime}"}}</script>`),
    },
  });
  context = await browser.newContext();
  await context.addInitScript(watch("Navigator"));
  page = await context.newPage();
  await page.goto(server.url);
});
afterEach(async () => {
  await context.close();
  await server.close();
});

const chunked = { model: "quarters", chunk: 6, overlap: 0.5 };
const software = { gpu: { allowSoftwareAdapter: true } };

interface Attempt {
  /** The script's `createEngine` options, besides models. */
  engine?: object;
  /** Options of the separation. */
  options?: object;
  seconds?: number;
  /** Code that runs before the separation, with `engine` and `options` in scope. */
  before?: string;
}

interface Outcome {
  device?: { requested: string; used: string; chunks: { webgpu: number; cpu: number }; reason: string | null };
  metadata?: Record<string, unknown>;
  segments: (string | null)[];
  /** Least decibels between these stems and the processor's. */
  snr?: number;
  frames?: number;
  warnings: string[];
  error?: { code?: string; status?: number; message: string };
}

/** Separates on the engine of `attempt`, and on the processor for comparison. */
function attempt({ engine = {}, options = {}, seconds = 20, before = "" }: Attempt): Promise<Outcome> {
  return inPage<Outcome>(
    page,
    `const warnings = [];
     const models = { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } };
     const settings = { workers: 1, models, urls: { worker: "/watched-worker.js", onnxruntime: "${runtime}" }, logger: { warn: (message) => warnings.push(message) } };
     const urls = { ...settings.urls, ...input.engine.urls };
     if (urls.onnxruntime === null) delete urls.onnxruntime;
     const engine = await otolith.createEngine({ ...settings, ...input.engine, urls });
     let options = { ...input.options };
     const segments = [];
     try {
       ${before}
       const job = engine.separate(sound(input.song), options);
       const reading = (async () => { for await (const { device } of job) segments.push(device); })().catch(() => {});
       const result = await job;
       await reading;
       const { device, metadata, frames } = result;
       const reference = await otolith.createEngine({ workers: 1, models });
       const { stems } = await reference.separate(sound(input.song), { model: "quarters", chunk: 6, overlap: 0.5 });
       await reference.dispose();
       let snr = Infinity;
       for (const [name, { channels }] of Object.entries(stems)) for (const [index, channel] of channels.entries()) {
         let signal = 0, noise = 0;
         for (const [n, value] of channel.entries()) { signal += value ** 2; noise += (value - result.stems[name].channels[index][n]) ** 2; }
         snr = Math.min(snr, 10 * Math.log10(signal / Math.max(noise, 1e-20)));
       }
       return { device, metadata, segments, snr, frames, warnings };
     } catch (error) {
       return { error: { code: error.code, status: error.status, message: error.message }, segments, warnings };
     } finally {
       await engine.dispose();
     }`,
    { song: song(seconds), manifest: quarters, path: modelPath, engine, options: { ...chunked, ...options } },
  );
}

const touches = () => server.requests.filter((path) => path === TOUCHED).length;
const runtimeRequests = () => server.requests.filter((path) => path.includes("ort") && !path.startsWith("/forging"));

describe("the graphics processor", () => {
  beforeEach(({ skip }) => skip(!isInstalled, "onnxruntime-web could not be installed: npm ci in benches/peers"));

  it("runs the network for tier pro, to 60 dB of the processor's stems, and says so", async () => {
    const outcome = await attempt({ engine: { tier: "pro" }, options: { ...software, device: "gpu", debug: true } });
    expect(outcome).toMatchObject({
      device: { requested: "gpu", used: "webgpu (software)", chunks: { webgpu: 4, cpu: 0 }, reason: null },
      metadata: { device: expect.stringContaining("swiftshader"), deviceType: "webgpu", executionMode: "gpu_allowed" },
      segments: ["webgpu", "webgpu", "webgpu", "webgpu"],
      warnings: [],
    });
    expect(outcome.snr).toBeGreaterThan(60);
    expect(runtimeRequests()).toContain(runtime);
    // The instrument of the tests below sees what it should.
    expect(touches()).toBeGreaterThan(0);
  });

  it.each([
    ["/lost.mjs", /the device was lost/],
    ["/rejects.mjs", /out of memory/],
    ["/nan.mjs", /not finite/],
    ["/shape.mjs", /shape/],
  ])("%s at chunk 2 of 4: that chunk and the rest are made on the processor", async (onnxruntime, reason) => {
    const outcome = await attempt({ engine: { tier: "vip", urls: { onnxruntime } }, options: { ...software, debug: true } });
    expect(outcome).toMatchObject({
      device: { requested: "auto", used: "webgpu (software)+cpu", chunks: { webgpu: 1, cpu: 3 }, reason: expect.stringMatching(reason) },
      metadata: { deviceType: "webgpu" },
      segments: ["webgpu", "cpu", "cpu", "cpu"],
    });
    expect(outcome.warnings).toEqual([expect.stringMatching(reason)]);
    expect(outcome.snr).toBeGreaterThan(60);
  });

  it.each([
    ["/wrong.mjs", /is [\d.]+ dB from the processor's, 60 are needed/],
    ["/infinite.mjs", /is -Infinity dB from the processor's/],
    ["/broken.mjs", /nothing is not defined/],
    ["/absent.mjs", /could not be loaded from .*absent\.mjs.*set urls\.onnxruntime/],
  ])("%s does not pass: the processor with a warning, or an error if it had to be", async (onnxruntime, reason) => {
    const engine = { tier: "pro", urls: { onnxruntime } };
    const outcome = await attempt({ engine, options: software, seconds: 2 });
    expect(outcome.device).toEqual({
      requested: "auto",
      used: "cpu",
      chunks: { webgpu: 0, cpu: 1 },
      reason: expect.stringMatching(reason),
    });
    expect(outcome.warnings).toEqual([expect.stringMatching(reason)]);
    const { error } = await attempt({ engine, options: { ...software, device: "gpu" }, seconds: 2 });
    expect(error).toMatchObject({ code: "gpu-unavailable", message: expect.stringMatching(reason) });
  });

  it("is found by the page's import map", async () => {
    await page.goto(`${server.url}/mapped`);
    const outcome = await attempt({ engine: { tier: "pro", urls: { onnxruntime: null } }, options: software, seconds: 2 });
    expect(outcome.device).toMatchObject({ used: "webgpu (software)", reason: null });
  });
});

describe("a page without a graphics processor that passes", () => {
  it("has an adapter that is a program: refused before its module is fetched", async () => {
    const outcome = await attempt({ engine: { tier: "pro" }, seconds: 2 });
    expect(outcome.device).toMatchObject({ used: "cpu", reason: expect.stringMatching(/swiftshader.* is a program on the processor/) });
    expect(outcome.warnings).toHaveLength(1);
    expect(runtimeRequests()).toEqual([]);
    const { error } = await attempt({ engine: { tier: "pro" }, options: { device: "gpu" }, seconds: 2 });
    expect(error).toMatchObject({ code: "gpu-unavailable", message: expect.stringMatching(/swiftshader/) });
  });

  it("names no module and has no import map: told what to set", async () => {
    const outcome = await attempt({ engine: { tier: "pro", urls: { onnxruntime: null } }, options: software, seconds: 2 });
    expect(outcome.device?.reason).toMatch(/set urls\.onnxruntime to where the module onnxruntime-web\/webgpu is served/);
    expect(touches()).toBe(0);
  });

  it("is asked for the processor by a job of tier pro: nothing is looked at", async () => {
    const outcome = await attempt({ engine: { tier: "pro" }, options: { ...software, device: "cpu" }, seconds: 2 });
    expect([outcome.device?.used, outcome.device?.reason, touches(), runtimeRequests()]).toEqual(["cpu", null, 0, []]);
  });
});

describe("a job that may not use the graphics processor reaches none, whatever is tried", () => {
  const free = { tier: "free" };
  const refused = { code: "not-authorized", status: 403 };
  it.each([
    ["asking", { engine: free, options: { ...software, device: "gpu" } }, refused],
    ["asking on an engine without tiers", { options: { ...software, device: "gpu" } }, refused],
    ["asking as a free job of a vip engine", { engine: { tier: "vip" }, options: { ...software, tier: "free", device: "gpu" } }, refused],
    ["auto", { engine: free, options: software }, "cpu"],
    [
      "a tier above the engine's",
      { engine: free, options: { ...software, tier: "vip" } },
      { message: expect.stringMatching("options.tier") },
    ],
    [
      "a constraint as an option",
      { engine: free, options: { ...software, forceCPU: false } },
      { message: expect.stringMatching("forceCPU") },
    ],
    [
      "a getter that turns",
      {
        engine: free,
        options: software,
        before: `let reads = 0;
        Object.defineProperty(options, "device", { enumerable: true, get: () => (reads++ === 0 ? "auto" : "gpu") });
        Object.defineProperty(options, "tier", { enumerable: true, get: () => (reads++ < 2 ? "free" : "vip") });`,
      },
      "cpu",
    ],
    [
      "a proxy that turns",
      {
        engine: free,
        options: { ...software, tier: "free" },
        before: `let reads = 0;
        options = new Proxy(options, { get: (target, name) => (name === "tier" && reads++ > 0 ? "vip" : Reflect.get(target, name)) });`,
      },
      "cpu",
    ],
    [
      "a prototype",
      {
        engine: free,
        options: software,
        before: `Object.assign(Object.prototype, { tier: "vip", device: "gpu", forceCPU: false });`,
      },
      "cpu",
    ],
    [
      "a tier changed while it waits",
      {
        engine: free,
        options: { ...software, tier: "free" },
        before: `options.onProgress = () => { options.tier = "vip"; options.device = "gpu"; try { engine.tier = "vip"; } catch {} };
        queueMicrotask(() => { options.tier = "vip"; input.engine.tier = "vip"; });`,
      },
      "cpu",
    ],
    [
      "a property of the engine",
      {
        engine: free,
        options: software,
        before: `Object.defineProperty(engine, "tier", { value: "vip" });`,
      },
      "cpu",
    ],
    [
      "a forged reply of a worker",
      { engine: { ...free, urls: { worker: "/forging-worker.js" } }, options: software },
      { code: "internal" },
    ],
  ] as [string, Attempt, object | string][])("%s", async (_, tried, expected) => {
    const outcome = await attempt({ seconds: 2, ...tried });
    if (typeof expected === "string") {
      expect(outcome.error).toBeUndefined();
      expect(outcome.device).toMatchObject({ used: expected, chunks: { webgpu: 0, cpu: 1 }, reason: null });
    } else expect(outcome.error).toMatchObject(expected);
    expect([touches(), runtimeRequests(), outcome.segments.filter((device) => device === "webgpu")]).toEqual([0, [], []]);
  });
});
