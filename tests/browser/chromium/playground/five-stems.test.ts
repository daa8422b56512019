import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fixtureModel } from "../../../js/fixture-models.js";
import { playground } from "../../pages/playground.js";
import type { StudioPage } from "../../pages/studio-page.js";

const site = playground();
const { models } = JSON.parse(readFileSync("models/manifest.json", "utf8")) as { models: { name: string; file: string }[] };
const carrier = models.find(({ name }) => name.startsWith("separator"))?.file ?? "";
const five = fixtureModel("mask-five");

/** Gives the page a small network of five stems as its own: in its manifest, and at the address of a file that it knows. */
async function shipFive({ page }: StudioPage) {
  const entry = { ...five.manifest, name: "separator-5", file: carrier };
  await page.addInitScript((added) => {
    const { parse } = JSON;
    JSON.parse = (...given) => {
      const value = parse(...given);
      if (value?.schema === 1 && Array.isArray(value.models) && value.models.length > 0 && value.models[0].name !== "separator-5")
        value.models = [added, ...value.models.filter(({ name }: { name: string }) => name !== "separator-5")];
      return value;
    };
  }, entry);
  const [stem = ""] = carrier.split(".onnx");
  await page.route(
    (url) => url.pathname.includes(stem),
    (route) => route.fulfill({ body: Buffer.from(five.bytes), contentType: "application/octet-stream" }),
  );
}

test("five stems: chosen, told what they cost, shown as five tracks that play in step", async () => {
  const studio = await site.visit({}, shipFive);
  await studio.openExample();
  await studio.waitForBeats();
  const two = studio.button("2 stems");
  const choice = studio.button("5 stems");
  expect(await two.getAttribute("aria-pressed")).toBe("true");
  await choice.click();
  expect([await choice.getAttribute("aria-pressed"), await two.getAttribute("aria-pressed")]).toEqual(["true", "false"]);
  await studio.page.getByText(/MB of memory/).waitFor();
  await studio.button("Separate 5 stems").click();
  await studio.waitForStems();
  const names = ["Vocals", "Drums", "Bass", "Instruments", "Effects"];
  for (const name of names) expect(await studio.track(name).isVisible()).toBe(true);
  await studio.page.screenshot({ path: "out/shots/five-stems.png", fullPage: true });

  await studio.lane("Song").press("Home");
  const before = (await studio.watched()).starts.length;
  await studio.play();
  const starts = (await studio.watched()).starts.slice(before);
  expect(starts).toHaveLength(5);
  for (const start of starts) expect(start).toEqual(starts[0]);
  await studio.soloStem("Drums");
  expect(await studio.button("Solo Drums").getAttribute("aria-pressed")).toBe("true");
  await studio.pause();
  const drums = await studio.save("Download Drums as WAV");
  expect(drums.name).toBe("Example drums.wav");

  // Back to two: a model that has not been run here, whose time is estimated.
  await two.click();
  await studio.page.getByText(/^About \d+ s on this device, /).waitFor();
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test("what a separation will take is told before, and a choice that cannot be had is off and says why", async () => {
  const studio = await site.visit();
  await studio.openExample();
  await studio.page.getByText(/^About \d+ s on this device, \d+\.\d MB of memory, \d+\.\d MB to fetch\./).waitFor();
  const ships5 = models.some(({ name }) => name === "separator-5");
  expect(await studio.button("5 stems").isDisabled()).toBe(!ships5);
  expect(await studio.page.getByText("There is no model for 5 stems here yet.").count()).toBe(ships5 ? 0 : 1);
  // The look costs nothing: neither model nor network runtime were asked for.
  expect(studio.requests.filter((url) => /\.onnx|neural/.test(url))).toEqual([]);
  await studio.close();
});
