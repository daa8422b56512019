import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { WorkerPort } from "../../../js/platform.js";
import { WorkerLink } from "../../../js/worker/link.js";
import { WorkerPool } from "../../../js/worker/pool.js";

/** A worker's other end, played by the test: it answers only what it is told to. */
class Partner implements WorkerPort {
  onMessage: (data: unknown) => void = () => {};
  onFailure: (reason: string) => void = () => {};
  readonly sent: Record<string, unknown>[] = [];
  terminated = false;

  post(message: unknown): void {
    this.sent.push(message as Record<string, unknown>);
  }
  terminate(): void {
    this.terminated = true;
  }
  keepAlive(): void {}
  answer(id: number, result: unknown, memoryBytes = 0): void {
    this.onMessage({ kind: "result", id, result, memoryBytes });
  }
}

const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

async function started(): Promise<{ link: WorkerLink; partner: Partner }> {
  const partner = new Partner();
  const starting = WorkerLink.start(partner, "core", module);
  partner.answer(0, { version: "1.2.3" });
  const { link, version } = await starting;
  expect(version).toBe("1.2.3");
  return { link, partner };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a link to a worker", () => {
  it("answers reach their own call, in any order", async () => {
    const { link, partner } = await started();
    const first = link.call("hasTrack", { id: "a" });
    const second = link.call("hasTrack", { id: "b" });
    partner.answer(2, true);
    partner.answer(1, false, 65_536);
    expect([await first, await second, link.memoryBytes]).toEqual([false, true, 65_536]);
  });

  it("an error keeps its code, message and details", async () => {
    const { link, partner } = await started();
    const call = link.call("hasTrack", { id: "a" });
    partner.onMessage({ kind: "error", id: 1, error: { code: "limit", message: "too much", details: { given: 2 } } });
    await expect(call).rejects.toMatchObject({ name: "OtolithError", code: "limit", message: "too much", details: { given: 2 } });
  });

  it("a cancel that is heard in time leaves the worker alive", async () => {
    const { link, partner } = await started();
    const controller = new AbortController();
    const call = link.call("hasTrack", { id: "a" }, { signal: controller.signal });
    controller.abort("stop");
    expect(partner.sent.at(-1)).toEqual({ cancel: 1 });
    partner.onMessage({ kind: "cancelled", id: 1 });
    await expect(call).rejects.toBe("stop");
    await vi.advanceTimersByTimeAsync(5000);
    expect([link.dead, partner.terminated]).toEqual([false, false]);
  });

  it("a cancel not heard for 1 s ends the worker, not earlier", async () => {
    const { link, partner } = await started();
    const controller = new AbortController();
    const call = link.call("hasTrack", { id: "a" }, { signal: controller.signal });
    const rejection = expect(call).rejects.toBe("stop");
    controller.abort("stop");
    await vi.advanceTimersByTimeAsync(999);
    expect(partner.terminated).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect([link.dead, partner.terminated]).toEqual([true, true]);
    await rejection;
  });

  it("a crash rejects every pending call and every later one with the panic's text", async () => {
    const { link, partner } = await started();
    const calls = [link.call("hasTrack", { id: "a" }), link.call("hasTrack", { id: "b" })];
    partner.onMessage({ kind: "crashed", panic: "index out of bounds" });
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: "crashed", details: { panic: "index out of bounds" } });
    await expect(link.call("hasTrack", { id: "c" })).rejects.toMatchObject({ code: "crashed" });
    expect(partner.terminated).toBe(true);
  });

  it("a worker without the memory it needs says what helps", async () => {
    const { link, partner } = await started();
    const call = link.call("hasTrack", { id: "a" });
    partner.onMessage({ kind: "crashed", panic: null });
    await expect(call).rejects.toMatchObject({ code: "out-of-memory", message: expect.stringContaining("shorter options.chunk") });
    expect(partner.terminated).toBe(true);
  });

  it("a worker that never starts is the environment's fault, one that ends later has crashed", async () => {
    const partner = new Partner();
    const starting = WorkerLink.start(partner, "core", module);
    partner.onFailure("404");
    await expect(starting).rejects.toMatchObject({ code: "unsupported-environment", message: expect.stringContaining("urls.worker") });
    const later = await started();
    const call = later.link.call("hasTrack", { id: "a" });
    later.partner.onFailure("killed");
    await expect(call).rejects.toMatchObject({ code: "crashed", details: { panic: "killed" } });
  });

  it("what is not of the protocol ends the worker with internal; answers to unknown calls are let pass", async () => {
    const { link, partner } = await started();
    partner.answer(99, "who asked?");
    expect(link.dead).toBe(false);
    const call = link.call("hasTrack", { id: "a" });
    partner.onMessage({ nonsense: true });
    await expect(call).rejects.toMatchObject({ code: "internal" });
  });
});

describe("a pool of workers", () => {
  it("lends each worker to one task at a time, starts no more than its size and reuses them", async () => {
    let startedWorkers = 0;
    const pool = new WorkerPool(2, async () => {
      startedWorkers += 1;
      return (await started()).link;
    });
    const lent = new Set<WorkerLink>();
    const tasks = Array.from({ length: 20 }, () =>
      pool.use(undefined, async (link) => {
        expect(lent.has(link)).toBe(false);
        lent.add(link);
        expect(lent.size).toBeLessThanOrEqual(2);
        await Promise.resolve();
        lent.delete(link);
      }),
    );
    await Promise.all(tasks);
    expect([startedWorkers, pool.alive]).toEqual([2, 2]);
  });

  it("replaces a worker that died, and goes on after one that could not start", async () => {
    let attempts = 0;
    const pool = new WorkerPool(1, async () => {
      attempts += 1;
      if (attempts === 2) throw new Error("no luck");
      return (await started()).link;
    });
    await pool.use(undefined, async (link) => link.close(new Error("dead")));
    await expect(pool.use(undefined, async () => "unreached")).rejects.toThrow("no luck");
    expect(await pool.use(undefined, async (link) => link.dead)).toBe(false);
    expect(attempts).toBe(3);
  });

  it("does not keep a worker whose memory has grown past 256 MiB", async () => {
    const pool = new WorkerPool(1, async () => {
      const { link, partner } = await started();
      const call = link.call("hasTrack", { id: "a" });
      partner.answer(1, true, 300 * 1024 * 1024);
      await call;
      return link;
    });
    await pool.use(undefined, async () => {});
    expect(pool.alive).toBe(0);
  });

  it("a task that waits in line can leave it, and closing rejects the others", async () => {
    const pool = new WorkerPool(1, async () => (await started()).link);
    let finish = () => {};
    const first = pool.use(undefined, () => new Promise<void>((resolve) => (finish = resolve)));
    const controller = new AbortController();
    const second = pool.use(controller.signal, async () => {});
    controller.abort("left");
    await expect(second).rejects.toBe("left");
    const third = pool.use(undefined, async () => {});
    pool.close(new Error("closed"));
    finish();
    await first;
    await expect(third).rejects.toThrow("closed");
    await expect(pool.use(undefined, async () => {})).rejects.toThrow("closed");
  });
});
