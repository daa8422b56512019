import { describe, expect, it } from "vitest";
import { OptionReader } from "../../js/options.js";

const reader = (options: unknown) => new OptionReader(options, "options", ["overlap", "stems", "debug", "model", "signal", "onProgress"]);

describe("options", () => {
  it("a number out of range is named with its path, range and unit", () => {
    const range = { min: 0.5, max: 4, unit: "seconds" };
    expect(() => reader({ overlap: -1 }).number("overlap", range)).toThrow(
      new TypeError("options.overlap must be in 0.5..4 seconds, got -1"),
    );
    expect(() => reader({ overlap: Number.NaN }).number("overlap", range)).toThrow("got NaN");
    expect(() => reader({ overlap: "2" }).number("overlap", range)).toThrow('got "2"');
    expect(reader({ overlap: 0.5 }).number("overlap", range)).toBe(0.5);
    expect(reader({ overlap: 4 }).number("overlap", range)).toBe(4);
    expect(() => reader({ overlap: 1.5 }).number("overlap", { min: 1, max: 4, whole: true })).toThrow("a whole number in 1..4");
  });

  it("an option that does not exist is refused, not ignored", () => {
    expect(() => reader({ tier: "vip" })).toThrow(/^options\.tier is not an option here; known are overlap, stems/);
  });

  it("an option that is absent or undefined is not given", () => {
    expect(reader(undefined).number("overlap", { min: 0, max: 1 })).toBeUndefined();
    expect(reader({ overlap: undefined }).has("overlap")).toBe(false);
  });

  it.each([null, 3, "x", [1], () => {}])("%s is no options object", (options) => {
    expect(() => reader(options)).toThrow(TypeError);
  });

  it("wrong kinds are refused with what is allowed", () => {
    expect(() => reader({ stems: 3 }).oneOf("stems", [2, 5])).toThrow("options.stems must be 2 or 5, got 3");
    expect(() => reader({ debug: 1 }).boolean("debug")).toThrow("options.debug must be true or false, got 1");
    expect(() => reader({ model: "" }).string("model")).toThrow("options.model must be a string that is not empty");
    expect(() => reader({ signal: {} }).signal("signal")).toThrow("options.signal must be an AbortSignal, got a Object");
    expect(() => reader({ onProgress: "f" }).function("onProgress")).toThrow("options.onProgress must be a function");
  });

  it("inherited options do not count and getters are read once", () => {
    let reads = 0;
    const options = Object.create({ tier: "vip" }) as object;
    Object.defineProperty(options, "overlap", { enumerable: true, get: () => ++reads });
    const read = reader(options);
    expect([read.any("overlap"), read.any("overlap"), reads]).toEqual([1, 1, 1]);
  });
});
