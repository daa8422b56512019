import { Worker } from "node:worker_threads";
import { createEngine, type Engine, JobPriority, type SeparationJob, type Tier } from "otolith";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixtureModel } from "./fixture-models.js";
import { noise } from "./signal.js";

const quarters = fixtureModel("mask-quarters");
const options = { model: "quarters", device: "cpu" } as const;
/** Silence: it takes every step of a job but the network. */
const silence = () => ({ channels: [new Float32Array(8)], sampleRate: 44_100 });
const priorityOf: Record<Tier, number> = { free: 0, none: 1, pro: 1, vip: 2 };
let engine: Engine;

beforeAll(async () => {
  engine = await createEngine({ workers: 1, tier: "vip", models: { quarters } });
});
afterAll(async () => {
  await engine.dispose();
});

/** Resolves once every job has been allowed. */
async function allAllowed() {
  while (engine.queue.list().some(({ state }) => state === "authorizing")) await Promise.resolve();
}

describe("the queue of separations", () => {
  it("starts no worker for a job that waits", async () => {
    const { postMessage } = Worker.prototype;
    let started = 0;
    Worker.prototype.postMessage = function (this: Worker, message: { method?: string }, ...rest: []) {
      if (message.method === "initialise") started += 1;
      postMessage.call(this, message, ...rest);
    } as typeof postMessage;
    const own = await createEngine({ workers: 4, tier: "vip", models: { quarters } });
    try {
      const song = () => ({ channels: [noise(60 * 44_100)], sampleRate: 44_100 });
      const running = own.separate(song(), { ...options, chunk: 6, collect: false });
      // Held by its reader, who takes nothing more: it has more chunks than may lie unread.
      await running[Symbol.asyncIterator]().next();
      const before = started;
      const waiting = Array.from({ length: 20 }, () => own.separate(new Blob([new Uint8Array(9)]), options));
      while (own.queue.list().some(({ state }) => state === "authorizing")) await Promise.resolve();
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect([own.queue.size, started]).toEqual([20, before]);
      for (const job of waiting) job.cancel("enough");
      await expect(Promise.all(waiting)).rejects.toBe("enough");
      running.cancel("enough");
      await expect(running).rejects.toBe("enough");
    } finally {
      Worker.prototype.postMessage = postMessage;
      await own.dispose();
    }
  });

  it("runs 100 mixed jobs as a model of it says: priorities, order of arrival, cancels, failures, late arrivals", async () => {
    const draws = Array.from(noise(600, 77), (value) => (value + 1) / 2);
    const draw = () => draws.pop() ?? 0;
    const tiers: readonly Tier[] = ["free", "none", "pro", "vip"];
    interface Planned {
      readonly name: number;
      readonly tier: Tier;
      readonly fails: boolean;
      readonly job: SeparationJob;
    }
    const planned: Planned[] = [];
    /** The model: jobs that wait, in the order of their arrival. */
    let waiting: Planned[] = [];
    const expected: number[] = [];
    const cancelled = new Set<number>();
    const started: number[] = [];
    const mismatches: unknown[] = [];
    const next = () => {
      const highest = Math.max(...waiting.map(({ tier }) => priorityOf[tier]));
      const first = waiting.find(({ tier }) => priorityOf[tier] === highest);
      if (first) expected.push(first.name);
      waiting = waiting.filter((one) => one !== first);
    };
    const submit = () => {
      const name = planned.length;
      const fails = draw() < 0.2;
      const tier = tiers[Math.floor(draw() * 4)] ?? "none";
      let begun = false;
      const onProgress = () => {
        if (begun) return;
        begun = true;
        started.push(name);
        turn();
        if (fails) throw new Error("a listener's fault");
      };
      const one = { name, tier, fails, job: engine.separate(silence(), { ...options, tier, onProgress }) };
      planned.push(one);
      waiting.push(one);
    };
    /** What happens while a job runs: some leave, some come. */
    const turn = () => {
      if (started.length > 1) next();
      const listed = engine.queue.list().filter(({ state }) => state === "queued");
      const sorted = [...waiting].sort((a, b) => priorityOf[b.tier] - priorityOf[a.tier] || a.name - b.name);
      if (listed.some(({ id, position }, place) => id !== sorted[place]?.job.id || position !== place))
        mismatches.push({ at: started.length, listed, sorted: sorted.map(({ name }) => name) });
      if (draw() < 0.3 && waiting.length > 0) {
        const victim = waiting[Math.floor(draw() * waiting.length)];
        if (victim) {
          waiting = waiting.filter((one) => one !== victim);
          cancelled.add(victim.name);
          engine.queue.cancel(victim.job.id, "made room");
        }
      }
      if (planned.length < 100) submit();
    };
    for (let n = 0; n < 60; n++) submit();
    next();
    for (let at = 0; at < planned.length; at++) await planned[at]?.job.then(undefined, () => {});

    expect(planned.length).toBe(100);
    expect(started).toEqual(expected);
    expect(mismatches).toEqual([]);
    expect(cancelled.size).toBeGreaterThan(5);
    for (const { name, fails, job } of planned) {
      const state = cancelled.has(name) ? "cancelled" : fails ? "failed" : "done";
      expect([name, job.state]).toEqual([name, state]);
      if (state === "cancelled") await expect(job).rejects.toBe("made room");
    }
    expect([engine.queue.size, engine.queue.bytes, engine.queue.list()]).toEqual([0, 0, []]);
  });

  it("shows what waits and what it holds: copied samples count, files and addresses do not", async () => {
    const samples = { channels: [new Float32Array(1000), new Float32Array(1000)], sampleRate: 8000 };
    const before = Date.now();
    const jobs = [
      engine.separate(samples, options),
      engine.separate(samples, { ...options, tier: "free", capability: "karaoke" }),
      engine.separate(new File([new Uint8Array(5000)], "a.wav"), options),
      engine.separate(new URL("http://127.0.0.1:1/nothing.wav"), { ...options, tier: "pro" }),
    ];
    await allAllowed();
    const [running, low, file, address] = jobs.map(({ id }) => id);
    const of = (id: string | undefined, state: string, tier: Tier, priority: number, position: number | null) => ({
      ...{ id, state, tier, priority, position, submittedAt: expect.any(Number) },
      capability: tier === "free" ? "karaoke" : "stem_split",
    });
    expect(engine.queue.list()).toEqual([
      of(running, "running", "vip", JobPriority.HIGH, null),
      of(file, "queued", "vip", JobPriority.HIGH, 0),
      of(address, "queued", "pro", JobPriority.NORMAL, 1),
      of(low, "queued", "free", JobPriority.LOW, 2),
    ]);
    expect(engine.queue.list()[0]?.submittedAt).toBeGreaterThanOrEqual(before);
    expect([engine.queue.size, engine.queue.bytes]).toEqual([3, 8000]);
    expect(engine.queue.get(low ?? "")).toMatchObject({ position: 2 });
    expect([engine.queue.get("nobody"), engine.queue.cancel("nobody")]).toEqual([undefined, false]);
    expect(engine.queue.cancel(running ?? "")).toBe(true);
    for (const id of [low, file, address]) expect(engine.queue.cancel(id ?? "", "enough")).toBe(true);
    await expect(jobs[0]).rejects.toMatchObject({ name: "AbortError" });
    for (const job of jobs.slice(1)) await expect(job).rejects.toBe("enough");
    expect(engine.queue.size).toBe(0);
  });

  it("a job awaited after the one behind it does not hold that one up", async () => {
    const long = engine.separate({ channels: [new Float32Array(44_100 * 60)], sampleRate: 44_100 }, { ...options, chunk: 6, overlap: 0.5 });
    const behind = engine.separate(silence(), options);
    expect((await behind).frames).toBe(8);
    expect((await long).chunks).toBe(11);
  });

  it("as many run at once as limits.concurrentJobs says", async () => {
    const wide = await createEngine({ workers: 1, models: { quarters }, limits: { concurrentJobs: 3 } });
    const jobs = Array.from({ length: 5 }, () => wide.separate(silence(), options));
    while (wide.queue.list().some(({ state }) => state === "authorizing")) await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(wide.queue.list().map(({ state }) => state)).toEqual(["running", "running", "running", "queued", "queued"]);
    await Promise.all(jobs);
    await wide.dispose();
  });
});
