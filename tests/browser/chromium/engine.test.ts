import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine } from "otolith";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fixtureModel } from "../../js/fixture-models.js";
import { hasRelaxedSimd, RELAXED_MODULE } from "../../js/relaxed-simd.js";
import { melody, noise, wav16 } from "../../js/signal.js";
import { inPage, serveEngine, song } from "../engine-page.js";
import { launchChromium } from "../launch.js";

const quarters = fixtureModel("mask-quarters").manifest;
const modelPath = `/models/${quarters.file}`;
const options = { model: "quarters", chunk: 6, overlap: 0.5 } as const;
let browser: Browser;
let server: Awaited<ReturnType<typeof serveEngine>>;
let context: BrowserContext;
let page: Page;
let problems: string[];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  server = await serveEngine();
  context = await browser.newContext();
  page = await visit();
});
afterEach(async () => {
  await context.close();
  await server.close();
});

async function visit(): Promise<Page> {
  const fresh = await context.newPage();
  problems = [];
  fresh.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  fresh.on("pageerror", (error) => problems.push(error.message));
  await fresh.goto(server.url);
  return fresh;
}

/** Digest of the stems, in the page. */
const separateInPage = `
  const engine = await otolith.createEngine({ workers: 2, models: { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } } });
  const { stems, frames } = await engine.separate(sound(input.song), input.options);
  await engine.dispose();
  return { frames, digest: await sha256(...Object.values(stems).flatMap(({ channels }) => channels)) };`;
const separation = (seconds: number) => ({ song: song(seconds), manifest: quarters, path: modelPath, options });

describe("the engine in Chromium", () => {
  it("gives the bits that Node gives: beats, fingerprint, match, stems", async () => {
    const spec = song(14);
    const input = { sampleRate: spec.sampleRate, channels: spec.channels.map((channel) => Float32Array.from(channel)) };
    const node = await createEngine({ workers: 1, models: { quarters: fixtureModel("mask-quarters") } });
    const beats = await node.beats(input);
    const print = await node.fingerprint(input);
    const { stems } = await node.separate(input, options);
    await node.dispose();
    const hash = createHash("sha256");
    for (const { channels } of Object.values(stems)) for (const channel of channels) hash.update(channel);

    const seen = await inPage<{ beats: number[]; tempo: unknown; print: string; match: { id: string; offset: number }[] }>(
      page,
      `const engine = await otolith.createEngine();
       const track = await engine.beats(sound(input));
       const print = await engine.fingerprint(sound(input));
       const catalog = await engine.openCatalog();
       await catalog.enrol(print, { id: "song" });
       const clip = sound(input).channels.map((channel) => channel.slice(5 * 22050, 11 * 22050));
       const match = await catalog.match({ channels: clip, sampleRate: 22050 });
       await engine.dispose();
       return { beats: [...track.beats], tempo: track.tempo, print: await sha256(print.bytes()), match };`,
      spec,
    );
    expect(seen.beats).toEqual([...beats.beats]);
    expect(seen.tempo).toEqual(JSON.parse(JSON.stringify(beats.tempo)));
    expect(seen.print).toBe(createHash("sha256").update(print.bytes()).digest("hex"));
    expect(seen.match[0]?.id).toBe("song");
    expect(Math.abs((seen.match[0]?.offset ?? 0) - 5)).toBeLessThanOrEqual(0.02);
    // Nothing of this needs a network.
    expect(server.requests).not.toContain("/neural.wasm");

    expect(await inPage(page, separateInPage, separation(14))).toEqual({ frames: spec.channels[0]?.length, digest: hash.digest("hex") });
    expect(server.requests.filter((path) => path === "/neural.wasm")).toHaveLength(1);
    expect(problems).toEqual([]);
  });

  it("finds clips of two and three seconds by the shipped embedder, turns a stranger away, and gives Node's print", async () => {
    const sampleRate = 8000;
    const pieces = Array.from({ length: 7 }, (_, n) => Array.from(melody(n < 6 ? 10 : 3, sampleRate, 401 + n)));
    const told = await inPage<{ ids: (string | null)[]; strangers: number; digest: string }>(
      page,
      `const engine = await otolith.createEngine({ workers: 1 });
       const catalog = await engine.openCatalog({ name: "neural", algorithm: "neural", storage: "memory" });
       const { sampleRate, pieces: [...tracks] } = input;
       const stranger = tracks.pop();
       const clip = (samples, from, seconds) => sound({ sampleRate, channels: [samples.slice(from * sampleRate, (from + seconds) * sampleRate)] });
       for (const [n, track] of tracks.entries()) await catalog.enrol(clip(track, 0, 10), { id: String(n) });
       const ids = [];
       for (const seconds of [2, 3]) for (const track of tracks) ids.push((await catalog.match(clip(track, 3, seconds)))[0]?.id ?? null);
       const strangers = (await catalog.match(clip(stranger, 0, 3))).length;
       const digest = await sha256((await engine.fingerprint(clip(tracks[0], 0, 10), { algorithm: "neural" })).bytes());
       await engine.dispose();
       return { ids, strangers, digest };`,
      { sampleRate, pieces },
    );
    const expected = Array.from({ length: 12 }, (_, n) => String(n % 6));
    expect(told.ids.filter((id, n) => id === expected[n]).length).toBeGreaterThanOrEqual(11);
    expect(told.strangers).toBe(0);
    await using engine = await createEngine({ workers: 1 });
    const print = await engine.fingerprint({ sampleRate, channels: [Float32Array.from(pieces[0] ?? [])] }, { algorithm: "neural" });
    expect(told.digest).toBe(createHash("sha256").update(print.bytes()).digest("hex"));
    expect(problems).toEqual([]);
  });

  it("separates by fused products where there is relaxed SIMD: Node's stems but for rounding", async () => {
    const spec = song(3);
    const model = "separator-2-lite";
    await using engine = await createEngine({ workers: 1 });
    const { stems } = await engine.separate(
      { sampleRate: spec.sampleRate, channels: spec.channels.map((channel) => Float32Array.from(channel)) },
      { model },
    );
    const found = await inPage<{ relaxed: boolean; vocals: number[] }>(
      page,
      `const module = Uint8Array.from(input.relaxed);
       const engine = await otolith.createEngine({ workers: 1 });
       const { stems } = await engine.separate(sound(input.song), { model: input.model });
       await engine.dispose();
       return { relaxed: WebAssembly.validate(module), vocals: [...stems.vocals.channels[0]] };`,
      { song: spec, model, relaxed: RELAXED_MODULE },
    );
    const vocals = stems.vocals?.channels[0] ?? new Float32Array();
    const [power, error] = [0, 1].map((side) => vocals.reduce((sum, own, n) => sum + (own - side * (found.vocals[n] ?? 0)) ** 2, 0));
    const decibels = 10 * Math.log10((error ?? 0) / (power ?? 0));
    console.log(`Chromium's vocals against Node's: ${decibels.toFixed(1)} dB`);
    expect(decibels).toBeLessThan(-90);
    // Equal to the last bit they are only if both took the same loops.
    expect(error === 0).toBe(found.relaxed === hasRelaxedSimd());
    expect(problems).toEqual([]);
  }, 120_000);

  it("asks for its own files only", async () => {
    await inPage(page, separateInPage, separation(2));
    const own = ["/", "/index.js", "/worker.js", "/core.wasm", "/neural.wasm", modelPath, "/favicon.ico"];
    expect(server.requests.filter((path) => !own.includes(path))).toEqual([]);
  });

  it("a File is read by slices and takes no memory, decoded twice or once, with the stems of its bytes", async () => {
    const outcome = await inPage<[string, number][]>(
      page,
      `const models = { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } };
       const outcomes = [];
       for (const heldBytes of [0, 2 ** 28]) {
         const engine = await otolith.createEngine({ workers: 1, models, limits: { heldBytes } });
         const wav = await engine.encodeWav(sound(input.song), { format: "wav32f" });
         for (const file of [new File([wav], "song.wav"), wav]) {
           const { stems, peakMemory } = await engine.separate(file, input.options);
           outcomes.push([await sha256(...Object.values(stems).flatMap(({ channels }) => channels)), peakMemory.held]);
         }
         await engine.dispose();
       }
       return outcomes;`,
      separation(8),
    );
    const samples = 2 * 4 * 8 * 22_050;
    expect(new Set(outcome.map(([digest]) => digest)).size).toBe(1);
    const header = (outcome[1]?.[1] ?? 0) - samples;
    expect(outcome.map(([, held]) => held)).toEqual([0, samples + header, samples, 2 * samples + header]);
    expect(header).toBeLessThan(200);
  });

  it("a File that changes on disk rejects by name, before it is heard or when it is heard for the second time", async () => {
    const folder = mkdtempSync(join(tmpdir(), "otolith-file-"));
    const path = join(folder, "song.wav");
    await page.evaluate('document.body.append(Object.assign(document.createElement("input"), { type: "file" }))');
    for (const moment of ["before", "between"]) {
      writeFileSync(path, new Uint8Array(wav16([noise(40 * 22_050)], 22_050)));
      await page.setInputFiles("input", path);
      await page.exposeFunction(`change_${moment}`, () => writeFileSync(path, "another"));
      const failure = await inPage<{ code: string; message: string }>(
        page,
        `const models = { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } };
         const engine = await otolith.createEngine({ workers: 1, models, limits: { heldBytes: 0 } });
         const file = document.querySelector("input").files[0];
         if (input.moment === "before") await change_before();
         try {
           for await (const { index } of engine.separate(file, { ...input.options, collect: false }))
             if (index === 0 && input.moment === "between") await change_between();
           return { code: "none" };
         } catch ({ code, message }) {
           return { code, message };
         } finally {
           await engine.dispose();
         }`,
        { ...separation(1), moment },
      );
      expect(failure.code).toBe("invalid-input");
      expect(failure.message).toMatch(/^the file could not be read: song\.wav: .*; it must be there, readable and unchanged/);
    }
    rmSync(folder, { recursive: true });
  });

  it("a cancel inside the network ends the job with its chunks undone, and the next separation works", async () => {
    const outcome = await inPage<{ reason: string; done: number; total: number; frames: number }>(
      page,
      `const engine = await otolith.createEngine({ workers: 1, models: { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } } });
       const job = engine.separate(sound(input.song), { ...input.options, onProgress: ({ phase }) => phase === "infer" && job.cancel("enough") });
       const reason = await job.catch((reason) => reason);
       const { done, total } = job.progress;
       const { frames } = await engine.separate(sound(input.song), input.options);
       await engine.dispose();
       return { reason, done, total, frames };`,
      separation(8),
    );
    expect(outcome).toMatchObject({ reason: "enough", frames: 8 * 22_050 });
    expect(outcome.done).toBeLessThan(outcome.total);
  });

  it("a cancel between the steps of a decode is heard before the decode ends", async () => {
    const outcome = await inPage<{ state: string; done: number; after: number }>(
      page,
      `const engine = await otolith.createEngine({ workers: 1 });
       const file = await engine.encodeWav({ channels: [new Float32Array(22050 * 600).fill(0.1)], sampleRate: 22050 });
       let after = 0;
       const job = engine.decode(file, { onProgress: ({ done }) => { after += 1; if (done > 0) job.cancel("enough"); } });
       await job.catch(() => {});
       await engine.dispose();
       return { state: job.state, done: job.progress.done, after };`,
    );
    expect(outcome.state).toBe("cancelled");
    expect(outcome.done).toBeLessThan(1);
  });

  it("a crash is told with the panic's text and the next call works", async () => {
    const outcome = await inPage<{ code: string; panic: string; beats: number }>(
      page,
      `const engine = await otolith.createEngine({ workers: 1 });
       const { code, details } = await engine.crash("injected fault").catch((error) => error);
       const { beats } = await engine.beats(sound(input));
       await engine.dispose();
       return { code, panic: details.panic, beats: beats.length };`,
      song(10),
    );
    expect(outcome).toMatchObject({ code: "crashed", panic: expect.stringContaining("injected fault") });
    expect(outcome.beats).toBeGreaterThan(5);
  });

  it("dispose leaves no worker", async () => {
    await inPage(page, separateInPage, separation(2));
    expect(page.workers()).toHaveLength(0);
  });

  it("works under the playground's content policy, its worker given as a TrustedScriptURL", async () => {
    await server.close();
    server = await serveEngine({ csp: true });
    page = await visit();
    const beats = await inPage<number>(
      page,
      `const policy = trustedTypes.createPolicy("otolith-page", { createScriptURL: (url) => url });
       const engine = await otolith.createEngine({ urls: { worker: policy.createScriptURL("/worker.js") } });
       const { beats } = await engine.beats(sound(input));
       await engine.dispose();
       return beats.length;`,
      song(10),
    );
    expect(beats).toBeGreaterThan(5);
    expect(problems).toEqual([]);
  });
});

describe("models between visits", () => {
  const downloads = () => server.requests.filter((path) => path === modelPath).length;

  it("the second visit needs no network for the model", async () => {
    const first = await inPage(page, separateInPage, separation(2));
    await page.close();
    page = await visit();
    expect(await inPage(page, separateInPage, separation(2))).toEqual(first);
    expect(downloads()).toBe(1);
  });

  it("an altered copy is deleted and fetched once more", async () => {
    const first = await inPage(page, separateInPage, separation(2));
    const keys = await inPage<string[]>(
      page,
      `const cache = await caches.open("otolith-models");
       const keys = await cache.keys();
       const bytes = new Uint8Array(await (await cache.match(keys[0])).arrayBuffer());
       bytes[100] ^= 1;
       await cache.put(keys[0], new Response(bytes));
       return keys.map(({ url }) => url);`,
    );
    expect(keys).toEqual([`https://models.otolith.invalid/custom%2Fquarters/${quarters.sha256}`]);
    expect(await inPage(page, separateInPage, separation(2))).toEqual(first);
    expect(downloads()).toBe(2);
    expect(await inPage(page, separateInPage, separation(2))).toEqual(first);
    expect(downloads()).toBe(2);
  });

  it("without the Cache API they are kept in IndexedDB", async () => {
    await context.addInitScript("delete globalThis.caches; delete Window.prototype.caches;");
    page = await visit();
    expect(await inPage(page, "return typeof caches")).toBe("undefined");
    const first = await inPage(page, separateInPage, separation(2));
    await page.close();
    page = await visit();
    expect(await inPage(page, separateInPage, separation(2))).toEqual(first);
    expect(downloads()).toBe(1);
  });

  it("without any storage they are kept in memory, with one warning each step down", async () => {
    const refuse = "{ open() { throw new DOMException('no storage', 'SecurityError'); } }";
    await context.addInitScript(
      `for (const name of ["caches", "indexedDB"]) Object.defineProperty(globalThis, name, { value: ${refuse} });`,
    );
    page = await visit();
    const { warnings, frames } = await inPage<{ warnings: string[]; frames: number }>(
      page,
      `const warnings = [];
       const engine = await otolith.createEngine({ workers: 1, logger: { warn: (message) => warnings.push(message) },
         models: { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } } });
       await engine.separate(sound(input.song), input.options);
       const { frames } = await engine.separate(sound(input.song), input.options);
       await engine.dispose();
       return { warnings, frames };`,
      separation(2),
    );
    expect(frames).toBe(2 * 22_050);
    expect(warnings).toEqual([expect.stringMatching(/the Cache API.*using IndexedDB/), expect.stringMatching(/IndexedDB.*using memory/)]);
    expect(downloads()).toBe(1);
  });
});

describe("what only the browser decodes", () => {
  it("Opus in Ogg gives the length and loudness that ffmpeg gives", async () => {
    const { sampleRate, frames, rms } = await inPage<{ sampleRate: number; frames: number; rms: number }>(
      page,
      `const engine = await otolith.createEngine();
       const { channels, sampleRate } = await engine.decode(new URL("/audio/mono-48k-opus.ogg", location.href));
       await engine.dispose();
       const energy = channels[0].reduce((sum, sample) => sum + sample * sample, 0);
       return { sampleRate, frames: channels[0].length, rms: Math.sqrt(energy / channels[0].length) };`,
    );
    const reference = JSON.parse(readFileSync(new URL("../../data/audio/reference.json", import.meta.url), "utf8"));
    const expected = reference.files["mono-48k-opus.ogg"];
    expect({ sampleRate, frames }).toEqual({ sampleRate: expected.sampleRate, frames: expected.frames });
    // Decoders of Opus may differ by rounding alone (RFC 6716, section 6): 0.1 dB is far above that.
    expect(Math.abs(20 * Math.log10(rms / expected.rms[0]))).toBeLessThan(0.1);
  });
});

describe("pages that lack something", () => {
  it.each([
    ["SIMD", "WebAssembly.validate = () => false;", /WebAssembly SIMD \(Chrome 91/],
    ["WebAssembly", "delete globalThis.WebAssembly;", /otolith needs WebAssembly, which is missing here/],
    ["workers", "delete globalThis.Worker;", /otolith needs Web Workers/],
  ])("without %s createEngine says so and fetches nothing", async (_, removal, message) => {
    await context.addInitScript(removal);
    page = await visit();
    const error = await inPage<{ code: string; message: string }>(
      page,
      "return otolith.createEngine().catch(({ code, message }) => ({ code, message }));",
    );
    expect(error).toMatchObject({ code: "unsupported-environment", message: expect.stringMatching(message) });
    expect(server.requests).not.toContain("/core.wasm");
  });

  it("a server that answers everything with its page: the option to set is named", async () => {
    const error = await inPage<{ code: string; message: string }>(
      page,
      `return otolith.createEngine({ urls: { core: "/" } }).catch(({ code, message }) => ({ code, message }));`,
    );
    expect(error).toMatchObject({
      code: "unsupported-environment",
      message: expect.stringMatching(/got a web page, not wasm: .*set urls\.core/),
    });
  });

  it("a worker script that is not there: the option to set is named", async () => {
    const error = await inPage<{ code: string; message: string }>(
      page,
      `return otolith.createEngine({ urls: { worker: "/nothing.js" } }).catch(({ code, message }) => ({ code, message }));`,
    );
    expect(error).toMatchObject({ code: "unsupported-environment", message: expect.stringContaining("set urls.worker") });
  });

  it("a second copy of the package is noticed", async () => {
    const warnings = await inPage<string[]>(
      page,
      `const warnings = [];
       const logger = { warn: (message) => warnings.push(message) };
       const other = await import("/index.js?copy");
       for (const { createEngine } of [otolith, other]) await (await createEngine({ logger })).dispose();
       return warnings;`,
    );
    expect(warnings).toEqual([expect.stringContaining("two copies of otolith are loaded")]);
  });
});
