import { describe, expect, it } from "vitest";
import { Pieces } from "../../js/pieces.js";

const never = new AbortController().signal;

/** Whether a promise has settled once all that could happen has happened. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.finally(() => (settled = true));
  await new Promise((resolve) => setTimeout(resolve, 0));
  return settled;
}

describe("pieces", () => {
  it("come in order and end", async () => {
    const pieces = new Pieces<number>(2, true);
    const seen: number[] = [];
    const read = (async () => {
      for await (const piece of pieces.read(() => {})) seen.push(piece);
    })();
    for (const piece of [1, 2, 3]) pieces.push(piece);
    pieces.end();
    await read;
    expect(seen).toEqual([1, 2, 3]);
  });

  it("a slow reader holds the maker back, and reading lets it go on", async () => {
    const pieces = new Pieces<number>(2, true);
    const reader = pieces.read(() => {});
    for (const piece of [1, 2, 3]) pieces.push(piece);
    const room = pieces.room(never);
    expect(await isSettled(room)).toBe(false);
    await reader.next();
    await expect(room).resolves.toBeUndefined();
  });

  it("nobody reading holds the maker back until the whole is awaited", async () => {
    const pieces = new Pieces<number>(0, false);
    pieces.push(1);
    const room = pieces.room(never);
    expect(await isSettled(room)).toBe(false);
    pieces.expectWhole();
    await expect(room).resolves.toBeUndefined();
  });

  it("nobody reading does not hold the maker back where the whole keeps every piece", async () => {
    const pieces = new Pieces<number>(0, true);
    for (const piece of [1, 2, 3]) pieces.push(piece);
    await expect(pieces.room(never)).resolves.toBeUndefined();
    expect((await pieces.read(() => {}).next()).value).toBe(1);
  });

  it("awaiting does not undo a reader's pace when only the reader has the pieces", async () => {
    const pieces = new Pieces<number>(0, false);
    const reader = pieces.read(() => {});
    pieces.push(1);
    pieces.expectWhole();
    const room = pieces.room(never);
    expect(await isSettled(room)).toBe(false);
    await reader.next();
    await expect(room).resolves.toBeUndefined();
  });

  it("waiting for room ends with the signal", async () => {
    const pieces = new Pieces<number>(0, false);
    pieces.push(1);
    const controller = new AbortController();
    const room = pieces.room(controller.signal);
    controller.abort("stop");
    await expect(room).rejects.toBe("stop");
  });

  it("a failure reaches the reader after the pieces made before it", async () => {
    const pieces = new Pieces<number>(2, true);
    pieces.push(1);
    pieces.end({ error: new Error("broken") });
    const reader = pieces.read(() => {});
    expect(await reader.next()).toEqual({ done: false, value: 1 });
    await expect(reader.next()).rejects.toThrow("broken");
  });

  it("leaving early is told, reading to the end is not, and a second reader is refused", async () => {
    let left = 0;
    const pieces = new Pieces<number>(2, true);
    pieces.push(1);
    for await (const piece of pieces.read(() => left++)) {
      expect(piece).toBe(1);
      break;
    }
    expect(left).toBe(1);
    expect(() => pieces.read(() => {})).toThrow(TypeError);
  });
});
