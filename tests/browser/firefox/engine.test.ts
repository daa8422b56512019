import { createHash } from "node:crypto";
import { createEngine } from "otolith";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fixtureModel } from "../../js/fixture-models.js";
import { inPage, serveEngine, song } from "../engine-page.js";
import { launchFirefox } from "../launch.js";

let browser: Awaited<ReturnType<typeof launchFirefox>>;
let server: Awaited<ReturnType<typeof serveEngine>>;

beforeAll(async () => {
  browser = await launchFirefox();
  server = await serveEngine();
});
afterAll(async () => {
  await browser.close();
  await server.close();
});

it("the engine in Firefox gives the bits that Node gives, and keeps the model for the next visit", async () => {
  const model = fixtureModel("mask-quarters");
  const spec = song(14);
  const input = { sampleRate: spec.sampleRate, channels: spec.channels.map((channel) => Float32Array.from(channel)) };
  const options = { model: "quarters", chunk: 6, overlap: 0.5 };
  const node = await createEngine({ workers: 1, models: { quarters: model } });
  const { beats } = await node.beats(input);
  const print = await node.fingerprint(input);
  const { stems } = await node.separate(input, options);
  await node.dispose();
  const hash = createHash("sha256");
  for (const { channels } of Object.values(stems)) for (const channel of channels) hash.update(channel);

  const path = `/models/${model.manifest.file}`;
  for (let visit = 0; visit < 2; visit++) {
    const page = await browser.newPage();
    await page.goto(server.url);
    const seen = await inPage<{ beats: number[]; print: string; stems: string }>(
      page,
      `const engine = await otolith.createEngine({ workers: 2, models: { quarters: { manifest: input.manifest, bytes: new URL(input.path, location.href) } } });
       const { beats } = await engine.beats(sound(input.spec));
       const print = await engine.fingerprint(sound(input.spec));
       const { stems } = await engine.separate(sound(input.spec), input.options);
       await engine.dispose();
       return { beats: [...beats], print: await sha256(print.bytes()), stems: await sha256(...Object.values(stems).flatMap(({ channels }) => channels)) };`,
      { spec, manifest: model.manifest, path, options },
    );
    expect(seen).toEqual({
      beats: [...beats],
      print: createHash("sha256").update(print.bytes()).digest("hex"),
      stems: hash.copy().digest("hex"),
    });
    await page.close();
  }
  expect(server.requests.filter((request) => request === path)).toHaveLength(1);
});
