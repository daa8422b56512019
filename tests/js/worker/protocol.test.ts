import { describe, expect, it } from "vitest";
import { readFromWorker, readToWorker } from "../../../js/worker/protocol.js";
import { noise } from "../signal.js";

/** Values of every kind, well-formed fields among them, drawn from a seed. */
function junk(seed: number): unknown {
  const draws = noise(32, seed);
  let at = 0;
  const draw = (count: number) => Math.floor(((draws[at++ % 32] ?? 0) + 1) * 0.5 * count) % count;
  const kinds = ["progress", "result", "error", "cancelled", "crashed", "x"];
  const value = (depth: number): unknown => {
    switch (draw(depth > 2 ? 9 : 11)) {
      case 0:
        return undefined;
      case 1:
        return null;
      case 2:
        return draw(3) - 1;
      case 3:
        return Number.NaN;
      case 4:
        return 2 ** 60;
      case 5:
        return kinds[draw(kinds.length)];
      case 6:
        return "decode";
      case 7:
        return true;
      case 8:
        return new Uint8Array(3);
      case 9:
        return [value(depth + 1), value(depth + 1)];
      default: {
        const fields = [
          "kind",
          "id",
          "cancel",
          "method",
          "params",
          "phase",
          "done",
          "total",
          "error",
          "code",
          "message",
          "details",
          "panic",
          "memoryBytes",
        ];
        return Object.fromEntries(fields.filter(() => draw(2) === 0).map((field) => [field, value(depth + 1)]));
      }
    }
  };
  const fields = value(3);
  return draw(4) === 0 ? fields : { ...(value(0) as object), id: draw(4), kind: kinds[draw(kinds.length)], ...(fields as object) };
}

describe("worker protocol", () => {
  it("what is read from a worker is whole, whatever was sent: 10 000 random messages", () => {
    let read = 0;
    for (let seed = 1; seed <= 10_000; seed++) {
      const message = readFromWorker(junk(seed));
      if (!message) continue;
      read += 1;
      if (message.kind === "crashed") expect(message.panic === null || typeof message.panic === "string").toBe(true);
      else expect(Number.isSafeInteger(message.id)).toBe(true);
      if (message.kind === "error") expect(typeof message.error.code).toBe("string");
      if (message.kind === "progress") expect(typeof message.done).toBe("number");
    }
    expect(read).toBeGreaterThan(100);
  });

  it("what is read from the page is a call or a cancel, whatever was sent", () => {
    for (let seed = 1; seed <= 10_000; seed++) {
      const message = readToWorker(junk(seed));
      if (!message) continue;
      if ("cancel" in message) expect(Number.isSafeInteger(message.cancel)).toBe(true);
      else expect([typeof message.method, Number.isSafeInteger(message.id)]).toEqual(["string", true]);
    }
    expect(readToWorker({ id: 1, method: "beats", params: { a: 1 } })).toEqual({ id: 1, method: "beats", params: { a: 1 } });
    expect(readToWorker({ cancel: 3 })).toEqual({ cancel: 3 });
    expect([null, 1, "x", {}, { id: -1, method: "beats" }, { id: 1 }, { cancel: "1" }].map(readToWorker)).toEqual(Array(7).fill(undefined));
  });
});
