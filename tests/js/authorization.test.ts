import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type AuthorizationAnswer, type AuthorizationRequest, type Authorize, createEngine, type Engine, type JobPhase } from "otolith";
import { afterEach, describe, expect, it, vi } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { melody, wav16 } from "./signal.js";

const quarters = fixtureModel("mask-quarters");
const sound = { channels: [Float32Array.of(0.5)], sampleRate: 44_100 };
let engine: Engine;

afterEach(async () => {
  vi.useRealTimers();
  await engine.dispose();
});

async function start(authorize: Authorize, rest: NonNullable<Parameters<typeof createEngine>[0]> = {}) {
  engine = await createEngine({ workers: 1, models: { quarters }, authorize, ...rest });
  return engine;
}

/** A song and a model on a server of their own, which enters every request in `trace`. */
async function serve(trace: string[]) {
  const files: Record<string, Uint8Array> = {
    "/songs/a song.wav": new Uint8Array(wav16([melody(1, 44_100)], 44_100)),
    "/quarters.onnx": new Uint8Array(quarters.bytes),
  };
  const server = createServer(({ url = "" }, response) => {
    const path = decodeURI(url);
    trace.push(`request ${path}`);
    response.end(files[path]);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const at = (path: string) => new URL(path, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return { at, close: () => void server.close().closeAllConnections() };
}

describe("the authorize hook", () => {
  it("comes after the policy and before queue, download, decoding and inference: the trace", async () => {
    const trace: string[] = [];
    const server = await serve(trace);
    let seen: AuthorizationRequest | undefined;
    await start(
      async (request) => {
        seen = request;
        const entry = engine.queue.get(request.jobId);
        trace.push(`authorize, ${entry?.state}, usage ${engine.usage().length}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        trace.push(`allow, ${engine.queue.get(request.jobId)?.state}`);
        return { allowed: true, entitlement: { left: 3 } };
      },
      { tier: "pro", models: { quarters: { manifest: quarters.manifest, bytes: server.at("/quarters.onnx") } } },
    );
    const phases: JobPhase[] = [];
    const job = engine.separate(server.at("/songs/a song.wav"), {
      model: "quarters",
      amount: 2.5,
      capability: "stem_split_single",
      onProgress: ({ phase }) => {
        if (phases.at(-1) === phase) return;
        phases.push(phase);
        trace.push(phases.length === 1 ? `${phase}, ${engine.queue.get(job.id)?.state}, usage ${engine.usage().length}` : phase);
      },
    });
    await job;
    server.close();
    expect(trace).toEqual([
      "authorize, authorizing, usage 0",
      "allow, authorizing",
      "request /songs/a song.wav",
      "download, running, usage 1",
      "decode",
      "request /quarters.onnx",
      "download",
      "verify",
      "load",
      // The program that runs networks.
      "download",
      "load",
      "infer",
    ]);
    expect(seen).toEqual({
      jobId: job.id,
      tier: "pro",
      capability: "stem_split_single",
      amount: 2.5,
      stems: 2,
      input: { name: "a song.wav", bytes: null },
      signal: expect.any(AbortSignal),
    });
    expect(Object.isFrozen(seen)).toBe(true);
    expect(engine.usage()).toEqual([
      {
        jobId: job.id,
        tier: "pro",
        capability: "stem_split_single",
        amount: 2.5,
        stems: 2,
        at: expect.any(Number),
        entitlement: { left: 3 },
      },
    ]);
  });

  it.each([
    ["a refusal in words", () => ({ allowed: false, error: "3 songs a day" }), 429, "3 songs a day"],
    ["a refusal without words", () => ({ allowed: false }), 429, "stem_split was refused"],
    ["1 for true", () => ({ allowed: 1 as unknown as boolean }), 429, "stem_split was refused"],
    ["allowed on the prototype", () => Object.create({ allowed: true }) as AuthorizationAnswer, 503, "got a "],
    ["nothing", () => undefined as unknown as AuthorizationAnswer, 503, "got undefined"],
    ["true alone", () => true as unknown as AuthorizationAnswer, 503, "got true"],
    ["a throw", () => { throw new Error("no network"); }, 503, "it failed: no network"], // biome-ignore format: one case a line
    ["a rejection", () => Promise.reject(new Error("no network")), 503, "it failed: no network"],
  ] as [string, Authorize, number, string][])("%s stops the job before anything is done", async (_, hook, status, words) => {
    const trace: string[] = [];
    const server = await serve(trace);
    let asked = 0;
    await start((request) => {
      asked += 1;
      return hook(request);
    });
    const job = engine.separate(server.at("/songs/a song.wav"), { model: "quarters" });
    await expect(job).rejects.toMatchObject({ code: "not-authorized", status, message: expect.stringContaining(words) });
    server.close();
    expect([asked, trace, job.progress, job.state, engine.usage(), engine.queue.list()]).toEqual([1, [], null, "failed", [], []]);
  });

  it("keeps what it threw as the cause", async () => {
    const cause = new Error("no network");
    await start(() => Promise.reject(cause));
    await expect(engine.separate(sound, { model: "quarters" })).rejects.toMatchObject({ cause });
  });

  it("that is silent is given up after limits.authorizeMs, and told so", async () => {
    let given: AbortSignal | undefined;
    await start(
      ({ signal }) => {
        given = signal;
        return new Promise(() => {});
      },
      { limits: { authorizeMs: 5000 } },
    );
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const job = engine.separate(sound, { model: "quarters" });
    await vi.advanceTimersByTimeAsync(4999);
    expect([job.state, given?.aborted]).toEqual(["queued", false]);
    const ended = expect(job).rejects.toMatchObject({ code: "not-authorized", status: 503, message: expect.stringContaining("5000 ms") });
    await vi.advanceTimersByTimeAsync(1);
    await ended;
    expect([given?.aborted, engine.usage()]).toEqual([true, []]);
  });

  it("hears of a cancel, which rejects with its own reason", async () => {
    let given: AbortSignal | undefined;
    await start(({ signal }) => {
      given = signal;
      return new Promise(() => {});
    });
    const job = engine.separate(sound, { model: "quarters" });
    await vi.waitFor(() => expect(given).toBeDefined());
    job.cancel("changed my mind");
    await expect(job).rejects.toBe("changed my mind");
    expect([given?.aborted, job.state, engine.usage(), engine.queue.size]).toEqual([true, "cancelled", [], 0]);
  });

  it("is asked once a job of a batch, and the book keeps jobs that fail or are cancelled", async () => {
    const asked: (string | number | null)[][] = [];
    await start(({ input, capability, amount }) => {
      asked.push([input.name, input.bytes, capability, amount]);
      return { allowed: asked.length !== 2, error: "the second is too much" };
    });
    const inputs = [sound, new File(["not a song"], "b.wav"), new File(["nor this"], "c.wav"), "d.wav" as never];
    const outcomes: unknown[] = [];
    for await (const { index, result, error } of engine.separateAll(inputs, { model: "quarters" }))
      outcomes.push([index, result?.frames ?? (error as { code?: string }).code ?? (error as Error).name]);
    expect(outcomes).toEqual([
      [0, 1],
      [1, "not-authorized"],
      [2, "unsupported-format"],
      [3, "TypeError"],
    ]);
    expect(asked).toEqual([
      ["", 4, "stem_split", 1],
      ["b.wav", 10, "stem_split", 1],
      ["c.wav", 8, "stem_split", 1],
    ]);
    expect(engine.usage()).toHaveLength(2);
  });

  it("wrong options are told at once, with their path", async () => {
    await start(() => ({ allowed: true }));
    for (const [options, message] of [
      [{ capability: "Stem Split" }, /options\.capability must be a small letter, then .* got "Stem Split"/],
      [{ capability: "a".repeat(65) }, /options\.capability/],
      [{ amount: -1 }, /options\.amount must be in 0\.\.1000000000, got -1/],
      [{ amount: Number.NaN }, /options\.amount/],
      [{ device: "tpu" }, /options\.device must be "auto" or "cpu" or "gpu", got "tpu"/],
      [{ gpu: { allowSoftwareAdapter: 1 } }, /options\.gpu\.allowSoftwareAdapter must be true or false, got 1/],
      [{ gpu: { adapter: 1 } }, /options\.gpu\.adapter is not an option/],
      [{ stems: 4 }, /options\.stems must be 2 or 5, got 4/],
    ] as [object, RegExp][]) {
      expect(() => engine.separate(sound, options)).toThrow(message);
      expect(() => engine.separateAll([sound], options)).toThrow(message);
    }
    await expect(createEngine({ authorize: true as never })).rejects.toThrow("options.authorize must be a function, got true");
    await expect(createEngine({ limits: { authorizeMs: 0 } })).rejects.toThrow("options.limits.authorizeMs must be in 1..600000, got 0");
    expect([engine.usage(), engine.queue.list()]).toEqual([[], []]);
  });

  it("usage keeps the last 1000 entries and no more", async () => {
    const { Authorization } = await import("../../js/authorization.js");
    await start(() => ({ allowed: true }));
    const books = new Authorization(undefined, 1000);
    const request = { tier: "none", capability: "stem_split", amount: 1, stems: 2, input: { name: "", bytes: 4 } } as const;
    for (let job = 0; job < 1234; job++) await books.ask({ ...request, jobId: String(job) }, new AbortController().signal);
    expect([books.usage.length, books.usage[0]?.jobId, books.usage.at(-1)?.jobId]).toEqual([1000, "234", "1233"]);
  });
});
