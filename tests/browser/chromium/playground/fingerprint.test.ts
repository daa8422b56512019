import { mkdirSync } from "node:fs";
import { createEngine } from "otolith";
import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { tune } from "../../pages/sounds.js";

const site = playground();
const SECONDS = 20;
const song = tune("Song.wav", SECONDS, 5);
mkdirSync("out/shots", { recursive: true });

test("the fingerprint's peaks lie over the spectrogram, with its hashes and bytes", async () => {
  const studio = await site.visit();
  await studio.giveFile(song);
  await studio.waitForTitle("Song");
  await studio.page.getByRole("img", { name: /^Spectrogram up to 4 kHz with the [\d,]+ peaks of the fingerprint$/ }).waitFor();
  expect(
    await studio.page
      .locator("constellation-lane")
      .getByText(/^[\d,]+ hashes, /)
      .isVisible(),
  ).toBe(true);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

/** A peak as the page should tell it. */
interface Expected {
  time: number;
  frequency: number;
  text: string;
}

/** The peaks of the song in Node, each with the number of stored landmarks whose hash says that it is their anchor. */
async function peaksInNode(): Promise<Expected[]> {
  const engine = await createEngine({ workers: 1 });
  const print = await engine.fingerprint(new Uint8Array(song.buffer));
  const { layers } = await engine.inspect(print.bytes(), { peaks: 10_000, hashes: 10_000 });
  await engine.dispose();
  const [layer] = layers as { peaks: { time: number; frequency: number }[]; hashes: { time: number; anchorBin: number }[] }[];
  // Frames of 16 ms and bins of 7.8125 Hz: 8 kHz, 1024 samples, hop 128.
  const cell = (time: number, frequency: number) => `${Math.floor(time / 0.016 + 0.5)} ${Math.floor(frequency / 7.8125 + 0.5)}`;
  const counts = new Map<string, number>();
  for (const { time, anchorBin } of layer?.hashes ?? []) {
    const anchor = cell(time, anchorBin * 7.8125);
    counts.set(anchor, (counts.get(anchor) ?? 0) + 1);
  }
  return (layer?.peaks ?? []).map(({ time, frequency }) => {
    const pairs = counts.get(cell(time, frequency)) ?? 0;
    const tenths = Math.round(time * 10);
    const clock = `0:${String(Math.floor(tenths / 10)).padStart(2, "0")}.${tenths % 10}`;
    const hertz = Math.round(frequency).toLocaleString("en");
    const later = `${pairs === 0 ? "no" : pairs} later peak${pairs === 1 ? "" : "s"}`;
    return { time, frequency, text: `Peak at ${clock}, ${hertz}\u00a0Hz, paired with ${later}` };
  });
}

test.each(["light", "dark"] as const)("the peak under pointer or focus is told with its pairs, in %s", async (colorScheme) => {
  const peaks = await peaksInNode();
  const studio = await site.visit({ colorScheme });
  await studio.giveFile(song);
  await studio.waitForTitle("Song");
  const lane = studio.page.getByRole("application", { name: /^Peaks of the fingerprint/ });
  const told = studio.page.locator("constellation-lane").getByRole("status");
  await lane.waitFor();
  await lane.scrollIntoViewIfNeeded();
  const plain = await lane.screenshot();

  const box = await lane.evaluate((element) => ({ width: element.clientWidth, height: element.clientHeight }));
  const place = ({ time, frequency }: Expected) => ({ x: (time / SECONDS) * box.width, y: (1 - frequency / 4000) * box.height });
  const distance = (one: Expected, other: Expected) => Math.hypot(place(one).x - place(other).x, place(one).y - place(other).y);
  const isAlone = (peak: Expected) => peaks.every((other) => other === peak || distance(peak, other) > 4);
  const inside = ({ x, y }: { x: number; y: number }) => x > 2 && y > 2 && x < box.width - 2 && y < box.height - 2;
  for (const count of ["no later peaks", "1 later peak", "2 later peaks"]) {
    const peak = peaks.find((one) => one.text.endsWith(`paired with ${count}`) && isAlone(one) && inside(place(one)));
    if (!peak) throw new Error(`the song has no lonely peak with ${count}`);
    await lane.hover({ position: place(peak) });
    await expect.poll(() => told.textContent()).toBe(peak.text);
  }
  await expect.poll(async () => (await lane.screenshot()).equals(plain)).toBe(false);
  await studio.page.screenshot({ path: `out/shots/pairs-${colorScheme}.png` });
  await studio.page.mouse.move(0, 0);
  await expect.poll(() => told.textContent()).toBe("");
  await expect.poll(async () => (await lane.screenshot()).equals(plain)).toBe(true);

  await lane.focus();
  await expect.poll(() => told.textContent()).toBe(peaks[0]?.text);
  for (const [key, peak] of [
    ["ArrowRight", peaks[1]],
    ["End", peaks.at(-1)],
    ["ArrowLeft", peaks.at(-2)],
    ["Home", peaks[0]],
  ] as const) {
    await lane.press(key);
    await expect.poll(() => told.textContent()).toBe(peak?.text);
  }
  const hertz = async () => Number(/([\d,]+)\u00a0Hz/.exec((await told.textContent()) ?? "")?.[1]?.replace(",", ""));
  const before = await hertz();
  await lane.press("ArrowUp");
  await expect.poll(hertz).toBeGreaterThan(before);
  await lane.press("ArrowDown");
  await expect.poll(hertz).toBeLessThanOrEqual(before);
  // The song's position is moved by these keys elsewhere.
  expect(await studio.position("Song")).toBe(0);
  await studio.lane("Song").focus();
  await expect.poll(() => told.textContent()).toBe("");
  expect(studio.errors).toEqual([]);
  await studio.close();
});
