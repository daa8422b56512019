import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { clicks, wavOf } from "../../pages/sounds.js";

const site = playground();

test("clicks at 120 BPM give 120 BPM with confidence, alternatives, method, and beats half a second apart in table and CSV", async () => {
  const studio = await site.visit();
  await studio.giveFile(clicks("Clicks.wav", 12, 120));
  await studio.waitForBeats();
  const panel = studio.page.getByRole("complementary", { name: "Results" });
  expect(await panel.getByText("120.0 BPM").isVisible()).toBe(true);
  for (const name of ["Confidence", "Could also be", "Method"]) expect(await panel.getByText(name, { exact: true }).isVisible()).toBe(true);
  expect(await panel.getByText("spectral flux").isVisible()).toBe(true);

  await panel.getByText("Show beats as table").click();
  const rows = panel.getByRole("table", { name: "Beats" }).getByRole("row");
  await rows.nth(1).waitFor();
  const times = await rows.evaluateAll((all) => all.slice(1).map((row) => Number(row.children[1]?.textContent)));
  expect(times.length).toBeGreaterThanOrEqual(22);
  for (const time of times) expect(Math.abs(time - Math.round(time * 2) / 2)).toBeLessThan(0.03);

  const csv = await studio.save("Beats as CSV");
  expect(csv.name).toBe("Clicks beats.csv");
  const lines = csv.bytes.toString().trim().split("\n");
  expect(lines[0]).toBe("seconds,is_downbeat");
  expect(lines.slice(1).map((line) => Number(line.split(",")[0]).toFixed(3))).toEqual(times.map((time) => time.toFixed(3)));
  await studio.close();
});

test("silence is said to have no steady beat", async () => {
  const studio = await site.visit();
  await studio.giveFile(wavOf("Silence.wav", 4, () => 0));
  await studio.page.getByText("No steady beat was found in this sound.").waitFor();
  expect(await studio.button("Beats as CSV").isDisabled()).toBe(true);
  await studio.close();
});

test("clicks on the beats begin with the tracks, where they are, and end when turned off", async () => {
  const studio = await site.visit();
  await studio.giveFile(clicks("Clicks.wav", 30, 120));
  await studio.waitForBeats();
  const toggle = studio.button("Click on beats");
  expect(await toggle.getAttribute("aria-pressed")).toBe("false");
  await studio.play();
  const alone = (await studio.watched()).starts;
  expect(alone).toHaveLength(1);

  await toggle.click();
  await studio.page.getByRole("button", { name: "Click on beats", pressed: true }).waitFor();
  const [track, click, ...more] = (await studio.watched()).starts.slice(alone.length);
  expect(more).toEqual([]);
  expect(track && click && [click.when - track.when, click.offset - track.offset]).toEqual([0, 0]);
  expect(click?.duration).toBeCloseTo(30, 3);

  await toggle.click();
  await studio.page.getByRole("button", { name: "Click on beats", pressed: false }).waitFor();
  expect((await studio.watched()).starts.length).toBe(alone.length + 3);
  expect(studio.errors).toEqual([]);
  await studio.close();
});
