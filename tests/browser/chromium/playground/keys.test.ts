import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { tune } from "../../pages/sounds.js";

const site = playground();

test("keys play, move, solo and mute, and leave fields alone", async () => {
  const studio = await site.visit();
  const { keyboard } = studio.page;
  await studio.giveFile(tune("Tune.wav", 40, 31));
  await studio.waitForTitle("Tune");
  await keyboard.press("ArrowRight");
  expect(await studio.position("Song")).toBe(5);
  await keyboard.press("PageDown");
  expect(await studio.position("Song")).toBe(20);
  expect(await studio.lane("Song").getAttribute("aria-valuetext")).toBe("20 seconds");
  await keyboard.press("ArrowLeft");
  expect(await studio.position("Song")).toBe(15);
  await keyboard.press("End");
  expect(await studio.position("Song")).toBe(40);
  await keyboard.press("Home");
  expect(await studio.position("Song")).toBe(0);
  await keyboard.press("Space");
  await studio.button("Pause").waitFor();
  await keyboard.press("Space");
  await studio.button("Play").waitFor();

  await studio.separate();
  await studio.waitForStems();
  await keyboard.press("2");
  await keyboard.press("s");
  expect(await studio.button("Solo Instrumental").getAttribute("aria-pressed")).toBe("true");
  await keyboard.press("m");
  expect(await studio.button("Mute Instrumental").getAttribute("aria-pressed")).toBe("true");
  const volume = studio.page.getByLabel("Vocals volume");
  await volume.press("ArrowLeft");
  expect(await volume.inputValue()).toBe("99");
  expect(await studio.position("Song")).toBe(0);

  await studio.lane("Song").press("?");
  await studio.page.getByRole("dialog", { name: "Keys" }).waitFor();
  await studio.page.getByLabel("Letters and digits are keys").uncheck();
  await keyboard.press("Escape");
  await studio.page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "hidden" });
  await studio.lane("Instrumental").press("s");
  expect(await studio.button("Solo Instrumental").getAttribute("aria-pressed")).toBe("true");
  await studio.close();
});
