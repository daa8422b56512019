// Files that are written whole or not at all.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { writeWhole } from "../../../js/cli/partial-file.js";
import { scratch } from "./otolith.js";

// The package as the command line has it is the built one; of it only the class of errors is needed here.
vi.mock("../../../js/node.js", () => import("../../../js/errors.js"));

describe("a file that is written", () => {
  test("comes with its folder, in place of what was there", async () => {
    const path = join(scratch(), "a", "b", "stem.wav");
    await writeWhole(path, new Uint8Array([1, 2]), new AbortController().signal);
    await writeWhole(path, new Uint8Array([3]), new AbortController().signal);
    expect([...readFileSync(path)]).toEqual([3]);
    expect(readdirSync(join(path, ".."))).toEqual(["stem.wav"]);
  });

  test.each(["before", "while"])(
    "and cancelled %s it is written rejects with the reason; the old file stays and nothing else",
    async (moment) => {
      const folder = scratch();
      const path = join(folder, "stem.wav");
      writeFileSync(path, "old");
      const controller = new AbortController();
      const bytes = new Uint8Array(1 << 27);
      if (moment === "before") controller.abort("enough");
      const writing = writeWhole(path, bytes, controller.signal);
      const partial = `${path}.${process.pid}.partial`;
      if (moment === "while") {
        while (!existsSync(partial)) await new Promise((resolve) => setImmediate(resolve));
        controller.abort("enough");
      }
      await expect(writing).rejects.toBe("enough");
      expect(readdirSync(folder)).toEqual(["stem.wav"]);
      expect(readFileSync(path, "utf8")).toBe("old");
    },
  );

  test("in a place that is none says so", async () => {
    const path = join(scratch(), "file");
    writeFileSync(path, "");
    const writing = writeWhole(join(path, "stem.wav"), new Uint8Array(1), new AbortController().signal);
    await expect(writing).rejects.toMatchObject({
      code: "invalid-input",
      message: expect.stringContaining("stem.wav cannot be written"),
      details: { path: join(path, "stem.wav") },
    });
  });
});
