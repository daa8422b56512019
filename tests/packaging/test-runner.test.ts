// The runner of npm test, tested on layers that end in every way a runner can end.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;

function npmTest(layers: string[], env: Record<string, string> = {}, more: string[] = []) {
  const args = ["pkg-config/test.mjs", "--layers-from", "tests/packaging/stub-layers/outcomes.mjs", ...more];
  const result = spawnSync(process.execPath, [...args, ...layers.flatMap((layer) => ["--layer", layer])], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, OTOLITH_REQUIRE: "", ...env },
  });
  return { status: result.status, output: result.stdout, error: result.stderr, last: result.stdout.trimEnd().split("\n").at(-1) };
}

describe("npm test", () => {
  test("sums the layers in its last line and ends with status 0 when nothing failed", () => {
    const { status, last, output } = npmTest(["passes"]);
    expect(last).toBe("2 passed, 0 failed, 1 skipped");
    expect(status).toBe(0);
    expect(output).toContain("no microphone here");
  });

  test("a failed test gives status 1 and the command that repeats it", () => {
    const { status, last, output } = npmTest(["passes", "fails"]);
    expect(last).toBe("3 passed, 1 failed, 1 skipped");
    expect(status).toBe(1);
    expect(output).toContain("1 is not 2");
    expect(output).toContain("repeat: npx stub -t one");
  });

  test.each([
    ["crashes", "ended with status 139 and no failed test"],
    ["hangs", "did not end within its limit"],
    ["empty", "reported no test"],
    ["throws", "the runner's program is missing"],
  ])("a runner that %s counts as a failure", (layer, sentence) => {
    const { status, last, output } = npmTest([layer]);
    expect(status).toBe(1);
    expect(last).toMatch(/^\d+ passed, 1 failed, 0 skipped$/);
    expect(output).toContain(sentence);
  });

  test("a layer that the machine cannot run is skipped with its reason, and fails where all is required", () => {
    const here = npmTest(["unavailable", "passes"]);
    expect(here.status).toBe(0);
    expect(here.last).toBe("2 passed, 0 failed, 2 skipped");
    expect(here.output).toContain("firefox not found");
    const required = npmTest(["unavailable", "passes"], { OTOLITH_REQUIRE: "all" });
    expect(required.status).toBe(1);
    expect(required.last).toBe("2 passed, 2 failed, 0 skipped");
  });

  test("reads vitest: a test without assertion and a file that cannot be loaded are failures", () => {
    const { status, last, output } = npmTest(["vitest"]);
    expect(status).toBe(1);
    expect(last).toBe("1 passed, 3 failed, 1 skipped");
    expect(output).toContain("nothing to test it with");
    expect(output).toContain("this file cannot be loaded");
    expect(output).toMatch(/repeat: npx vitest run --config \S+ tests\/packaging\/stub-layers\/sample\.stub\.ts -t '\^fails\$'/);
  });

  test("a vitest that hangs is killed at its limit", () => {
    const { status, last } = npmTest(["slow"]);
    expect(status).toBe(1);
    expect(last).toBe("0 passed, 1 failed, 0 skipped");
  });

  test("an unknown layer is a usage error that names the layers there are", () => {
    const { status, error } = npmTest(["nativ"]);
    expect(status).toBe(2);
    expect(error).toContain("passes, fails, crashes");
  });

  test("a filter that matches nothing anywhere is a failure", () => {
    const { status, output } = npmTest(["vitest"], {}, ["--filter", "no-such-file"]);
    expect(status).toBe(1);
    expect(output).toContain("no test matches --filter no-such-file");
  });
});
