import { createEngine, type Engine, JobPriority, type SeparationOptions, type Tier } from "otolith";
import { afterEach, describe, expect, it } from "vitest";
import { GpuProvider } from "../../js/gpu-provider.js";
import { OptionReader } from "../../js/options.js";
import { constrain, type ExecutionConstraints, mayUseGpu, Policy } from "../../js/policy.js";
import { fixtureModel } from "./fixture-models.js";

const quarters = fixtureModel("mask-quarters");
const sound = { channels: [Float32Array.of(0.5)], sampleRate: 44_100 };
const options = (values: object = {}, path = "options") => new OptionReader(values, path, ["tier"]);
let engine: Engine | undefined;

afterEach(async () => {
  await engine?.dispose();
  engine = undefined;
});

async function start(settings: NonNullable<Parameters<typeof createEngine>[0]> = {}) {
  engine = await createEngine({ workers: 1, models: { quarters }, logger: { warn: () => {} }, ...settings });
  return engine;
}

describe("constraints", () => {
  it.each([
    ["none", "cpu_only", true],
    ["free", "cpu_only", true],
    ["pro", "gpu_allowed", false],
    ["vip", "gpu_allowed", false],
  ] as const)("of tier %s: %s, forced to the processor %s", (tier, mode, forceCPU) => {
    const constraints = constrain(tier, options());
    expect(Object.getOwnPropertyDescriptors(constraints)).toEqual(
      Object.fromEntries(
        Object.entries({ tier, mode, forceCPU }).map(([name, value]) => [
          name,
          { value, enumerable: true, writable: false, configurable: false },
        ]),
      ),
    );
    expect(Object.isFrozen(constraints)).toBe(true);
    expect(mayUseGpu(constraints)).toBe(!forceCPU);
  });

  it("a job's tier may be below the engine's and never above", () => {
    const order: readonly Tier[] = ["free", "none", "pro", "vip"];
    for (const [at, tier] of order.entries())
      for (const [below, job] of order.entries()) {
        const attempt = () => constrain(tier, options({ tier: job })).tier;
        if (below <= at) expect(attempt()).toBe(job);
        else expect(attempt).toThrow(new RegExp(`options.tier must be .* on this engine, got "${job}"`));
      }
    expect(() => constrain("vip", options({ tier: "gold" }))).toThrow(TypeError);
  });

  it("that were made elsewhere are worth nothing", () => {
    const real = constrain("pro", options());
    const forged: ExecutionConstraints[] = [
      { tier: "vip", mode: "gpu_allowed", forceCPU: false },
      { ...real },
      structuredClone(real),
      Object.freeze({ ...real }),
      Object.create(real) as ExecutionConstraints,
      new Proxy(real, {}),
      new Proxy(constrain("free", options()), { get: (_, name) => (name === "mode" ? "gpu_allowed" : false) }),
    ];
    for (const one of forged) expect(mayUseGpu(one)).toBe(false);
    const free = constrain("free", options());
    expect(() => Object.assign(free, { mode: "gpu_allowed", forceCPU: false })).toThrow(TypeError);
    expect(mayUseGpu(free)).toBe(false);
  });

  it("are all that opens the graphics processor: the provider asks first, and starts nothing for others", async () => {
    let touched = 0;
    const touch = () => {
      touched += 1;
      throw new Error("started");
    };
    const provider = new GpuProvider({ module: touch, start: touch });
    const request = { key: "model", bytes: new ArrayBuffer(0), allowSoftware: true, probe: touch, signal: new AbortController().signal };
    const forged = { tier: "vip", mode: "gpu_allowed", forceCPU: false } as const;
    for (const constraints of [forged, { ...constrain("vip", options()) }, constrain("free", options()), constrain("none", options())])
      await expect(provider.open(constraints, request)).rejects.toMatchObject({ code: "not-authorized", status: 403 });
    expect(touched).toBe(0);
    await expect(provider.open(constrain("pro", options()), request)).rejects.toMatchObject({ code: "gpu-unavailable" });
    expect(touched).toBe(1);
  });

  it("cannot be had from the package: it has no way in but its entries", async () => {
    for (const path of ["otolith/dist/index.js", "otolith/policy.js", "otolith/gpu-provider.js", "otolith/js/policy.ts"])
      await expect(import(/* @vite-ignore */ path)).rejects.toThrow(/not exported|Missing|is not defined by "exports"/i);
  });

  it("give priorities and stems by tier", () => {
    const policy = new Policy(undefined);
    const of = (tier: Tier) => {
      const constraints = constrain(tier, options());
      return [policy.priority(constraints), policy.defaultStems(constraints)];
    };
    expect((["none", "free", "pro", "vip"] as const).map(of)).toEqual([
      [JobPriority.NORMAL, 2],
      [JobPriority.LOW, 2],
      [JobPriority.NORMAL, 5],
      [JobPriority.HIGH, 5],
    ]);
    expect(JobPriority).toEqual({ LOW: 0, NORMAL: 1, HIGH: 2 });
  });
});

describe("the tier of an engine", () => {
  it("is none by default, and wrong ones are named", async () => {
    expect((await start()).tier).toBe("none");
    await expect(createEngine({ tier: "gold" as Tier })).rejects.toThrow(
      /options\.tier must be "free" or "none" or "pro" or "vip", got "gold"/,
    );
    await expect(createEngine({ policy: { stems: { free: 3 as 2 } } })).rejects.toThrow("options.policy.stems.free must be 2 or 5, got 3");
    await expect(createEngine({ policy: { stems: { gold: 2 } as object } })).rejects.toThrow("options.policy.stems.gold is not an option");
  });

  it.each([
    ["5 stems", { stems: 5 }],
    ["the graphics processor", { device: "gpu", model: "quarters" }],
    ["a model of five", { model: "five" }],
  ] as [string, SeparationOptions][])("free asking for %s is refused with 403, before the hook and for nothing less", async (_, asked) => {
    let hooked = 0;
    const five = { manifest: { ...quarters.manifest, stems: ["a", "b", "c", "d", "e"], residual: "e" }, bytes: quarters.bytes };
    const free = await start({ tier: "free", models: { quarters, five }, authorize: () => ({ allowed: ++hooked > 0 }) });
    const job = free.separate(sound, asked);
    await expect(job).rejects.toMatchObject({ code: "not-authorized", status: 403, details: { tier: "free" } });
    expect([hooked, job.progress, job.state, free.usage()]).toEqual([0, null, "failed", []]);
    // A job of tier free on a better engine is no better.
    const pro = await createEngine({ workers: 1, tier: "pro", models: { quarters, five } });
    await expect(pro.separate(sound, { ...asked, tier: "free" })).rejects.toMatchObject({ status: 403 });
    await pro.dispose();
  });

  it("none is refused the graphics processor too, and pro goes on without one where it may", async () => {
    const none = await start();
    await expect(none.separate(sound, { model: "quarters", device: "gpu" })).rejects.toMatchObject({ code: "not-authorized", status: 403 });
  });

  it("cannot be changed while a job waits behind another", async () => {
    const settings = { workers: 1, models: { quarters }, tier: "pro" as Tier, logger: { warn: () => {} } };
    const pro = await start(settings);
    const first = pro.separate(
      { channels: [new Float32Array(44_100 * 30).fill(0.1)], sampleRate: 44_100 },
      { model: "quarters", collect: false },
    );
    // Held by its reader, who takes nothing yet.
    const reader = first[Symbol.asyncIterator]();
    await reader.next();
    const asked: { model: string; tier: Tier; device: "auto" | "gpu"; debug: true } = {
      model: "quarters",
      tier: "free",
      device: "auto",
      debug: true,
    };
    const job = pro.separate({ channels: [Float32Array.of(0.5, -0.5)], sampleRate: 44_100 }, asked);
    while (pro.queue.get(job.id)?.state !== "queued") await new Promise((resolve) => setTimeout(resolve, 1));
    Object.assign(asked, { tier: "vip", device: "gpu" });
    settings.tier = "vip";
    expect(pro.queue.get(job.id)).toMatchObject({ tier: "free", priority: JobPriority.LOW });
    Object.assign(pro.queue.get(job.id) ?? {}, { tier: "vip", priority: JobPriority.HIGH });
    expect(pro.queue.get(job.id)).toMatchObject({ tier: "free", priority: JobPriority.LOW, state: "queued" });
    for (let next = await reader.next(); !next.done; next = await reader.next());
    const { metadata, device } = await job;
    expect([metadata?.executionMode, device]).toEqual([
      "cpu_only",
      { requested: "auto", used: "cpu", chunks: { webgpu: 0, cpu: 1 }, reason: null },
    ]);
  });

  it("cannot be changed by what comes later: getters, proxies, prototypes, assignments", async () => {
    const settings = { workers: 1, models: { quarters }, tier: "free" as Tier };
    const free = await start(settings);
    settings.tier = "vip";
    expect(() => Object.assign(free, { tier: "vip" })).toThrow(TypeError);
    let reads = 0;
    const turning = {
      model: "quarters",
      get device() {
        return reads++ === 0 ? "cpu" : "gpu";
      },
    } as SeparationOptions;
    const through = new Proxy({ model: "quarters", tier: "free" } as SeparationOptions, {
      get: (target, name) => (name === "tier" && reads++ > 3 ? "vip" : Reflect.get(target, name)),
    });
    const above = new Proxy({ model: "quarters", tier: "free" } as SeparationOptions, {
      get: (target, name) => (name === "tier" ? "vip" : Reflect.get(target, name)),
    });
    const polluted = Object.prototype as { tier?: string; device?: string; forceCPU?: boolean };
    Object.assign(polluted, { tier: "vip", device: "gpu", forceCPU: false });
    try {
      for (const asked of [turning, through, { model: "quarters" }]) {
        const { metadata, device } = await free.separate(sound, { ...asked, debug: true });
        expect([metadata?.executionMode, device.used, device.chunks.webgpu]).toEqual(["cpu_only", "cpu", 0]);
      }
      expect(() => free.separate(sound, above)).toThrow(/options\.tier/);
    } finally {
      for (const name of ["tier", "device", "forceCPU"] as const) delete polluted[name];
    }
    expect(free.usage().map(({ tier }) => tier)).toEqual(["free", "free", "free"]);
  });
});
