import { describe, expect, it } from "vitest";
import { Job, type JobContext, type JobProgress } from "../../js/job.js";

/** Work that ends by its cancel only, with an error of its own making. */
const forever = ({ signal }: JobContext) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(new Error("echo"));
    signal.addEventListener("abort", () => reject(new Error("echo")));
  });

describe("job", () => {
  it("goes from queued over running to done and gives its result", async () => {
    const states: string[] = [];
    const job: Job<number> = new Job(async (context) => {
      states.push(job.state);
      context.started();
      states.push(job.state);
      return 42;
    }, {});
    expect(await job).toBe(42);
    expect([...states, job.state]).toEqual(["queued", "running", "done"]);
  });

  it("reports progress with phase, amounts and times, never backwards within a phase", async () => {
    const seen: JobProgress[] = [];
    const work = async ({ started, report }: JobContext) => {
      started();
      report("decode", 0.5, 1);
      report("decode", 0.25, 1);
      report("infer", 1, 4, 3000);
    };
    await new Job(work, { onProgress: (progress) => seen.push(progress) });
    expect(seen.map(({ phase, done, total, etaMs }) => [phase, done, total, etaMs])).toEqual([
      ["decode", 0.5, 1, null],
      ["decode", 0.5, 1, null],
      ["infer", 1, 4, 3000],
    ]);
    expect(seen.every(({ elapsedMs }) => elapsedMs >= 0)).toBe(true);
  });

  it("cancel rejects with its reason, whatever the work makes of it", async () => {
    const job = new Job(forever, {});
    const reason = new Error("enough");
    job.cancel(reason);
    await expect(job).rejects.toBe(reason);
    expect(job.state).toBe("cancelled");
  });

  it("cancel without a reason is an AbortError", async () => {
    const job = new Job(forever, {});
    job.cancel();
    await expect(job).rejects.toMatchObject({ name: "AbortError" });
  });

  it("a signal cancels it, and one aborted before runs nothing", async () => {
    const controller = new AbortController();
    const job = new Job(forever, { signal: controller.signal });
    controller.abort("late");
    await expect(job).rejects.toBe("late");
    let ran = false;
    const never = new Job(async () => (ran = true), { signal: AbortSignal.abort("early") });
    await expect(never).rejects.toBe("early");
    expect(ran).toBe(false);
  });

  it("cancel after the end changes nothing", async () => {
    const job = new Job(async () => "result", {});
    await job;
    job.cancel();
    expect([await job, job.state]).toEqual(["result", "done"]);
  });

  it("a result that comes after the cancel is not given", async () => {
    const job: Job<number> = new Job(async () => {
      job.cancel("stopped");
      return 1;
    }, {});
    await expect(job).rejects.toBe("stopped");
  });

  it("an exception in onProgress fails the job with it", async () => {
    const wrong = new Error("in the listener");
    const job = new Job(
      async (context) => {
        context.report("decode", 0, 1);
        return forever(context);
      },
      {
        onProgress: () => {
          throw wrong;
        },
      },
    );
    await expect(job).rejects.toBe(wrong);
    expect(job.state).toBe("failed");
  });

  it("leaves no listener on the caller's signal", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const job = new Job(async () => {}, { signal });
    expect(listeners).toBe(1);
    await job;
    await job.settled;
    expect(listeners).toBe(0);
  });
});
