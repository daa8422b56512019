import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { playground } from "../../pages/playground.js";

const truth = JSON.parse(readFileSync("www/public/example.json", "utf8")) as { tempo: number };

describe.each([{ isolated: false }, { isolated: true }])("with isolation headers: $isolated", ({ isolated }) => {
  const site = playground({ isolated });

  test("the example needs one click to show its length, its waveform and its tempo, and fetches no network model", async () => {
    const studio = await site.visit();
    expect(await studio.page.evaluate(() => crossOriginIsolated)).toBe(isolated);
    await studio.openExample();
    await studio.waitForBeats();
    const shown = await studio.page.locator(".tempo").textContent();
    const bpm = Number.parseFloat(shown ?? "");
    const octaves = Math.abs(Math.log2(bpm / truth.tempo));
    expect(Math.abs(octaves - Math.round(octaves)), `${bpm} BPM shown, ${truth.tempo} true`).toBeLessThan(0.01);
    await studio.lane("Song").waitFor();
    expect(studio.requests.filter((url) => /neural|\.onnx/.test(url))).toEqual([]);
    expect(studio.errors).toEqual([]);
    await studio.close();
  });
});
