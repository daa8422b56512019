import { describe, expect, it } from "vitest";
import { Call, Cancelled } from "../../../js/worker/call.js";
import type { FromWorker } from "../../../js/worker/protocol.js";

/** A stepper of `length` steps that says how it was used. */
function stepper(length: number, onStep: (step: number) => void = () => {}) {
  const log = { steps: 0, freed: 0 };
  return {
    log,
    step() {
      log.steps += 1;
      onStep(log.steps);
      return log.steps < length;
    },
    progress: () => log.steps / length,
    free() {
      log.freed += 1;
    },
  };
}

describe("a call in a worker", () => {
  it("drives a stepper to its end, reporting from 0 to 1", async () => {
    const posted: FromWorker[] = [];
    const work = stepper(4);
    await new Call(7, (message) => posted.push(message)).drive(work, "analyze");
    expect(work.log).toEqual({ steps: 4, freed: 0 });
    expect(posted.map((message) => message.kind === "progress" && [message.id, message.phase, message.done])).toEqual([
      [7, "analyze", 0],
      [7, "analyze", 0.25],
      [7, "analyze", 0.5],
      [7, "analyze", 0.75],
      [7, "analyze", 1],
    ]);
  });

  it("posts at most about a hundred messages a phase", async () => {
    const posted: FromWorker[] = [];
    await new Call(0, (message) => posted.push(message)).drive(stepper(5000), "decode");
    expect(posted.length).toBeGreaterThan(50);
    expect(posted.length).toBeLessThanOrEqual(102);
  });

  it.each([1, 2, 10, 99])("no step is begun after a cancel during step %i, and the work is freed", async (at) => {
    const call = new Call(0, () => {});
    const work = stepper(100, (step) => {
      if (step === at) call.cancel();
    });
    await expect(call.drive(work, "decode")).rejects.toBeInstanceOf(Cancelled);
    expect(work.log).toEqual({ steps: at, freed: 1 });
  });

  it("lets messages in between two steps: one posted during step 3 is heard before step 5", async () => {
    const call = new Call(0, () => {});
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => call.cancel();
    const work = stepper(1000, (step) => {
      if (step === 3) port2.postMessage(null);
    });
    await expect(call.drive(work, "decode")).rejects.toBeInstanceOf(Cancelled);
    port1.close();
    expect(work.log.steps).toBeLessThanOrEqual(4);
  });

  it("a step that throws frees the work; one that traps does not touch it again", async () => {
    const failing = stepper(3, () => {
      throw new Error("bad input");
    });
    await expect(new Call(0, () => {}).drive(failing, "decode")).rejects.toThrow("bad input");
    expect(failing.log.freed).toBe(1);
    const trapping = stepper(3, () => {
      throw new WebAssembly.RuntimeError("unreachable");
    });
    await expect(new Call(0, () => {}).drive(trapping, "decode")).rejects.toThrow("unreachable");
    expect(trapping.log.freed).toBe(0);
  });
});
