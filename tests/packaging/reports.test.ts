// Readers of the runners' reports, on text as nextest and libtest write it.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readJunit, readLibtest } from "../../pkg-config/reports.mjs";

test("a JUnit file gives one case a test, with the text of a failure", () => {
  const file = join(mkdtempSync(join(tmpdir(), "otolith-")), "junit.xml");
  writeFileSync(
    file,
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0">
  <testsuite name="otolith" tests="3" failures="1">
    <testcase name="beat::a_click" classname="otolith" timestamp="2026-01-01T00:00:00" time="0.004"/>
    <testcase name="dsp::is_exact" classname="otolith" time="0.1"><failure type="test failure" message="thread panicked">left &lt; right &amp; 1 &#x3d; 2</failure><system-out>noise</system-out></testcase>
    <testcase name="wav::reads" classname="otolith::rust" time="0.1"><system-out>said something</system-out></testcase>
  </testsuite>
</testsuites>`,
  );
  const cases = readJunit(file, (name: string) => `again ${name}`);
  expect(cases.map(({ name, status }) => [name, status])).toEqual([
    ["otolith beat::a_click", "passed"],
    ["otolith dsp::is_exact", "failed"],
    ["otolith::rust wav::reads", "passed"],
  ]);
  expect(cases[1]).toMatchObject({ message: "left < right & 1 = 2", repeat: "again dsp::is_exact" });
  expect(readJunit(file, String), "a report is read once: a runner that writes none must not inherit it").toEqual([]);
});

test("libtest's lines give one case a test, ignored ones with their reason", () => {
  const output = `
running 3 tests
test src/audio/mod.rs - audio (line 12) ... ok
test wav::reads ... FAILED
test corpus::real_recordings ... ignored, no recordings here

failures:

---- wav::reads stdout ----
thread 'wav::reads' panicked at 'boom'
`;
  const cases = readLibtest(output, (name: string) => `again ${name}`);
  expect(cases.map(({ status }) => status)).toEqual(["passed", "failed", "skipped"]);
  expect(cases[1]?.message).toContain("panicked at 'boom'");
  expect(cases[2]?.reason).toBe("no recordings here");
});
