import { describe, expect, it } from "vitest";
import { JobQueue } from "../../js/job-queue.js";
import { noise } from "./signal.js";

const never = new AbortController().signal;

describe("job queue", () => {
  it("runs in the order of arrival, no more than allowed at once, none lost or doubled: a thousand schedules", async () => {
    for (let seed = 1; seed <= 1000; seed++) {
      const draws = noise(64, seed);
      const concurrent = 1 + Math.floor(Math.abs(draws[0] ?? 0) * 4);
      const queue = new JobQueue(concurrent);
      const started: number[] = [];
      let running = 0;
      let most = 0;
      const controllers = Array.from({ length: 12 }, () => new AbortController());
      const outcomes = controllers.map(({ signal }, index) =>
        queue
          .run(async () => {
            started.push(index);
            most = Math.max(most, ++running);
            for (let tick = 0; tick < Math.abs(draws[index] ?? 0) * 5; tick++) await Promise.resolve();
            running -= 1;
            if ((draws[index + 12] ?? 0) > 0.7) throw new Error("task");
          }, signal)
          .then(
            () => "done",
            (error: unknown) => (error instanceof Error ? "failed" : "left"),
          ),
      );
      const leaving = controllers.filter((_, index) => (draws[index + 24] ?? 0) > 0.5);
      for (const controller of leaving) controller.abort("leave");
      const results = await Promise.all(outcomes);
      const ran = results.flatMap((result, index) => (result === "left" ? [] : [index]));
      expect(started).toEqual(ran);
      expect(most).toBeLessThanOrEqual(concurrent);
      expect(queue.waiting).toBe(0);
    }
  });

  it("cancel while queued removes the job and runs nothing", async () => {
    const queue = new JobQueue(1);
    let finish = () => {};
    const first = queue.run(() => new Promise<void>((resolve) => (finish = resolve)), never);
    const controller = new AbortController();
    let ran = false;
    const second = queue.run(async () => (ran = true), controller.signal);
    controller.abort("changed my mind");
    await expect(second).rejects.toBe("changed my mind");
    expect(queue.waiting).toBe(0);
    finish();
    await first;
    expect(ran).toBe(false);
  });
});
