import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { tune } from "../../pages/sounds.js";

const site = playground();

test("enrolled songs are found from a clip with the place it is from, and what is not enrolled is said not to be", async () => {
  const studio = await site.visit();
  for (const [name, seed] of [
    ["First", 1],
    ["Second", 2],
  ] as const) {
    await studio.giveFile(tune(`${name}.wav`, 20, seed));
    await studio.waitForTitle(name);
    await studio.enrol();
  }
  await studio.page.getByText(/^2 songs enrolled: /).waitFor();
  await studio.lane("Song").press("Home");
  await studio.lane("Song").press("ArrowRight");
  const answer = await studio.matchFromHere();
  expect(answer).toContain("is from Second, at 0:05.0");
  const cells = await studio.page.getByRole("table", { name: "Matches" }).getByRole("cell").allTextContents();
  expect(cells[0]).toBe("Second");
  expect(Math.abs(Number.parseFloat(cells[3] ?? "") - 5)).toBeLessThanOrEqual(0.02);
  expect(await studio.page.getByRole("img", { name: /^Votes by offset/ }).isVisible()).toBe(true);

  expect(await studio.matchFile(tune("Stranger.wav", 6, 99))).toMatch(/^No match for Stranger\.wav/);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test("second visit: what was enrolled is still there and is found; forgotten songs are not", async () => {
  const studio = await site.visit();
  await studio.giveFile(tune("Kept.wav", 20, 3));
  await studio.waitForTitle("Kept");
  await studio.enrol();
  await studio.page.getByText(/^1 song enrolled: .* They stay in this browser\.$/).waitFor();
  await studio.page.reload();
  await studio.giveFile(tune("Other.wav", 12, 4));
  await studio.waitForTitle("Other");
  await studio.page.getByText(/^1 song enrolled: /).waitFor();
  expect(await studio.matchFile(tune("Kept again.wav", 20, 3))).toContain("is from Kept, at 0:00.0");
  await studio.page.getByRole("button", { name: "Forget all songs" }).click();
  await studio.page.getByText(/^Enrol songs by their fingerprints/).waitFor();
  expect(studio.errors).toEqual([]);
  await studio.close();
});
