import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";

const site = playground();

test("a separation can be cancelled before and after its first segment, what was made plays, and the next one runs", async () => {
  const studio = await site.visit();
  await studio.openExample();
  await studio.waitForBeats();

  await studio.separate();
  await studio.button("Cancel separation").click();
  await studio.button("Separate vocals").waitFor({ timeout: 1_200 });
  expect(await studio.alert().count()).toBe(0);
  expect(await studio.page.title()).toBe("Example · otolith");

  await studio.separate();
  await studio.waitForSegment("Vocals");
  await studio.page.keyboard.press("Escape");
  await studio.button("Separate vocals").waitFor({ timeout: 1_200 });
  await studio.soloStem("Vocals");
  await studio.play();
  await studio.waitForPosition("Vocals", 1);
  await studio.pause();

  await studio.separate();
  await studio.waitForStems();
  expect(studio.errors).toEqual([]);
  await studio.close();
});
