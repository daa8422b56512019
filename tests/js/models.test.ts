import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CustomModel, createEngine, type Engine, type OtolithError } from "otolith";
import { afterEach, describe, expect, it } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { melody } from "./signal.js";

const sound = { channels: [melody(1, 44_100)], sampleRate: 44_100 };
const quarters = fixtureModel("mask-quarters");
const open: { dispose(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function engineWith(models: Record<string, CustomModel | string>): Promise<Engine> {
  const engine = await createEngine({ workers: 1, models });
  open.push(engine);
  return engine;
}

/** Separates with the model called `mine`; the error if it fails. */
async function attempt(mine: CustomModel): Promise<OtolithError | undefined> {
  const engine = await engineWith({ mine });
  return engine.separate(sound, { model: "mine" }).then(
    () => undefined,
    (error: unknown) => error as OtolithError,
  );
}

/** A server that answers with `answer` and counts its requests. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const served = { requests: 0, url: new URL("http://127.0.0.1") };
  const server = createServer((request, response) => {
    served.requests += 1;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  served.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/model.onnx`);
  open.push({ dispose: async () => void server.close() });
  return served;
}

const send =
  (body: ArrayBuffer | string, type = "application/octet-stream", status = 200) =>
  (_: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(status, { "content-type": type }).end(typeof body === "string" ? body : new Uint8Array(body));

describe("a model of the caller's", () => {
  it("in hand needs neither length nor digest: the digest is computed", async () => {
    const { sha256, bytes: _, ...manifest } = quarters.manifest;
    const engine = await engineWith({ mine: { manifest, bytes: new Blob([quarters.bytes]) } });
    const { metadata } = await engine.separate(sound, { model: "mine", debug: true });
    expect(metadata?.weightHash).toBe(sha256);
  });

  it("by address is fetched once, counted, verified and used", async () => {
    const served = await serve(send(quarters.bytes));
    const engine = await engineWith({ mine: { manifest: quarters.manifest, bytes: served.url } });
    const phases: string[] = [];
    await engine.separate(sound, { model: "mine", onProgress: ({ phase, done }) => phases.push(`${phase} ${done}`) });
    expect(phases).toContain(`download ${quarters.bytes.byteLength}`);
    expect(phases).toContain("verify 1");
    await engine.separate(sound, { model: "mine" });
    expect(served.requests).toBe(1);
  });

  it("one altered bit, anywhere: model-integrity, with both digests", async () => {
    for (let seed = 0; seed < 16; seed++) {
      const altered = new Uint8Array(quarters.bytes.slice(0));
      const place = (seed * 2654435761) % (altered.length * 8);
      altered[place >> 3] = (altered[place >> 3] ?? 0) ^ (1 << (place & 7));
      const error = await attempt({ manifest: quarters.manifest, bytes: altered.buffer });
      expect(error).toMatchObject({ code: "model-integrity", details: { expected: quarters.manifest.sha256 } });
    }
  });

  it("an altered answer is not kept: the next job fetches again and works", async () => {
    const altered = new Uint8Array(quarters.bytes.slice(0));
    altered[100] = (altered[100] ?? 0) ^ 1;
    let answer = altered.buffer;
    const served = await serve((request, response) => send(answer)(request, response));
    const engine = await engineWith({ mine: { manifest: quarters.manifest, bytes: served.url } });
    await expect(engine.separate(sound, { model: "mine" })).rejects.toMatchObject({ code: "model-integrity" });
    answer = quarters.bytes;
    expect((await engine.separate(sound, { model: "mine" })).frames).toBe(44_100);
    expect(served.requests).toBe(2);
  });

  it.each([
    ["a missing file", send("no", "text/plain", 404), /answered status 404/, 404],
    ["a web page", send("<!doctype html>", "text/html"), /got a web page, not a model/, undefined],
    ["a truncated file", send(quarters.bytes.slice(0, 50)), /50 bytes; its manifest says \d+/, undefined],
    ["an endless file", send(new ArrayBuffer(5_000_000)), /more than \d+ bytes; its manifest says/, undefined],
  ])("%s is model-load with what was found", async (_, answer, message, status) => {
    const served = await serve(answer);
    const error = await attempt({ manifest: quarters.manifest, bytes: served.url });
    expect(error).toMatchObject({ code: "model-load", message: expect.stringMatching(message) });
    expect(error?.status).toBe(status);
  });

  it("an address where nothing listens is model-load", async () => {
    expect(await attempt({ manifest: quarters.manifest, bytes: new URL("http://127.0.0.1:9/x.onnx") })).toMatchObject({
      code: "model-load",
    });
  });

  it("cancel while it downloads ends the request", async () => {
    const closed = new Promise<boolean>((resolve) => {
      serve((request, response) => {
        response.writeHead(200, { "content-type": "application/octet-stream" }).write(new Uint8Array(10));
        request.on("close", () => resolve(true));
      }).then(async ({ url }) => {
        const engine = await engineWith({ mine: { manifest: quarters.manifest, bytes: url } });
        const job = engine.separate(sound, {
          model: "mine",
          onProgress: ({ phase, done }) => {
            if (phase === "download" && done === 10) job.cancel("enough");
          },
        });
        await expect(job).rejects.toBe("enough");
      });
    });
    expect(await closed).toBe(true);
  });

  it.each(["wrong-rank", "wrong-bins", "wrong-opset", "wrong-outputs", "wrong-infinite"])("the network %s is model-load", async (name) => {
    const { manifest, bytes } = fixtureModel(name);
    expect(await attempt({ manifest, bytes })).toMatchObject({ code: "model-load" });
  });

  it.each([
    ["an unknown contract", { contract: "magic" }],
    ["an unknown kind", { kind: "chef" }],
    ["a later package", { min_package_version: "99.0.0" }],
    ["one stem", { stems: ["vocals"] }],
    ["a residual that is no stem", { residual: "drums" }],
    ["a digest that is none", { sha256: "abc" }],
  ])("a manifest with %s is refused", async (_, change) => {
    const error = await attempt({ manifest: { ...quarters.manifest, ...change }, bytes: quarters.bytes });
    expect(error).toMatchObject({ name: "OtolithError", code: expect.stringMatching(/^model-load$|^invalid-input$/) });
  });

  it("by address without a digest is refused", async () => {
    const { sha256: _, ...manifest } = quarters.manifest;
    expect(await attempt({ manifest, bytes: new URL("http://127.0.0.1:9/x.onnx") })).toMatchObject({ code: "model-load" });
  });

  it("an unknown name, and stems that disagree, are told with what is known", async () => {
    const engine = await engineWith({ mine: quarters });
    await expect(engine.separate(sound, { model: "yours" })).rejects.toMatchObject({
      code: "model-load",
      details: { known: expect.arrayContaining(["mine"]) },
    });
    await expect(engine.separate(sound, { model: "mine", stems: 5 })).rejects.toThrow(/options\.stems is 5, but model mine gives 2/);
  });
});
