// One test of each outcome, for the test of the runner.
import { expect, test } from "vitest";

test("passes", () => {
  expect(1).toBe(1);
});
test("fails", () => {
  expect(1).toBe(2);
});
test("is skipped with a reason", ({ skip }) => {
  skip("nothing to test it with");
});
test("asserts nothing", () => {});
