import { describe, expect, it } from "vitest";
import { Line } from "../../js/line.js";
import { noise } from "./signal.js";

const never = new AbortController().signal;

describe("line", () => {
  it("lets higher priority go first, and within one who came first", async () => {
    const line = new Line(1);
    const started: string[] = [];
    const finish: (() => void)[] = [];
    const task = (name: string) => () => {
      started.push(name);
      return new Promise<void>((resolve) => void finish.push(resolve));
    };
    const all = [
      line.run(task("running"), never, 0),
      ...(
        [
          ["low", 0],
          ["normal", 1],
          ["high", 2],
          ["low too", 0],
          ["high too", 2],
          ["normal too", 1],
        ] as const
      ).map(([name, priority]) => line.run(task(name), never, priority)),
    ];
    for (let turn = 0; turn < all.length; turn++) {
      while (finish.length === 0) await Promise.resolve();
      finish.shift()?.();
    }
    await Promise.all(all);
    expect(started).toEqual(["running", "high", "high too", "normal", "normal too", "low", "low too"]);
  });

  it("runs in the order of arrival, no more than allowed at once, none lost or doubled: a thousand schedules", async () => {
    for (let seed = 1; seed <= 1000; seed++) {
      const draws = noise(64, seed);
      const concurrent = 1 + Math.floor(Math.abs(draws[0] ?? 0) * 4);
      const line = new Line(concurrent);
      const started: number[] = [];
      let running = 0;
      let most = 0;
      const controllers = Array.from({ length: 12 }, () => new AbortController());
      const outcomes = controllers.map(({ signal }, index) =>
        line
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
      expect(line.waiting).toBe(0);
    }
  });

  it("cancel while queued removes the job and runs nothing", async () => {
    const line = new Line(1);
    let finish = () => {};
    const first = line.run(() => new Promise<void>((resolve) => (finish = resolve)), never);
    const controller = new AbortController();
    let ran = false;
    const second = line.run(async () => (ran = true), controller.signal);
    controller.abort("changed my mind");
    await expect(second).rejects.toBe("changed my mind");
    expect(line.waiting).toBe(0);
    finish();
    await first;
    expect(ran).toBe(false);
  });
});
