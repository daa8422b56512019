import { afterEach, expect, it, vi } from "vitest";
import { GpuProvider } from "../../js/gpu-provider.js";
import { OptionReader } from "../../js/options.js";
import type { WorkerPort } from "../../js/platform.js";
import { constrain } from "../../js/policy.js";
import { WorkerLink } from "../../js/worker/link.js";

afterEach(() => void vi.useRealTimers());

/** A worker that opens the graphics processor and loads the model, and answers the probe when `answer` is called. */
function provider() {
  let terminated = 0;
  let answer = () => {};
  let asked = () => {};
  const probing = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const port: WorkerPort = {
    post: (message) => {
      const { id, method } = message as { id?: number; method?: string };
      const reply = (result: unknown) => port.onMessage({ kind: "result", id, result, memoryBytes: 0 });
      if (method === "openGpu") queueMicrotask(() => reply({ name: "a card", software: false }));
      if (method === "loadGpuModel") queueMicrotask(() => reply(null));
      if (method !== "probeGpu") return;
      answer = () => reply({ snrDb: 90, seconds: 0.01 });
      asked();
    },
    onMessage: () => {},
    onFailure: () => {},
    terminate: () => {
      terminated += 1;
    },
    keepAlive: () => {},
  };
  const gpu = new GpuProvider({ module: () => "/ort.mjs", start: (params) => WorkerLink.open(port, "openGpu", params) });
  const noise = () => new Float32Array(4);
  const open = () =>
    gpu.open(constrain("pro", new OptionReader({}, "options", ["tier"])), {
      key: "digest",
      bytes: new ArrayBuffer(4),
      allowSoftware: false,
      probe: async () => ({ probe: { inputShape: [4], input: noise(), outputShape: [4], output: noise() }, seconds: 1 }),
      signal: new AbortController().signal,
    });
  return { open, probing, answer: () => answer(), terminated: () => terminated };
}

it("a probe that takes more than 5 s ends its worker, and the reason says so", async () => {
  vi.useFakeTimers();
  const { open, probing, terminated } = provider();
  const opening = open();
  const outcome = expect(opening).rejects.toMatchObject({ code: "gpu-unavailable", message: expect.stringContaining("more than 5 s") });
  await probing;
  await vi.advanceTimersByTimeAsync(4999);
  expect(terminated()).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  await outcome;
  expect(terminated()).toBe(1);
});

it("one that takes a little less passes, and its timer is gone", async () => {
  vi.useFakeTimers();
  const { open, probing, answer, terminated } = provider();
  const opening = open();
  await probing;
  await vi.advanceTimersByTimeAsync(4999);
  answer();
  expect((await opening).adapter).toEqual({ name: "a card", software: false });
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(terminated()).toBe(0);
});
