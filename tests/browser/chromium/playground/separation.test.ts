import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { readWav16 } from "../../pages/sounds.js";

const truth = JSON.parse(readFileSync("www/public/example.json", "utf8")) as { sampleRate: number };
const site = playground();

test("separation: progress and title count up, stems come piece by piece, play in step, and sum to the song", async () => {
  const studio = await site.visit();
  await studio.openExample();
  await studio.waitForBeats();
  await studio.separate();

  await studio.progress("Separation").waitFor();
  await studio.page.waitForFunction(() => /^\d+ % · Example/.test(document.title));

  await studio.waitForSegment("Vocals");
  await studio.waitForSegment("Instrumental");
  expect(await studio.button("Separate again").isVisible(), "the first segment is shown before the end").toBe(false);
  expect(await studio.button("Download Vocals as WAV").isDisabled()).toBe(true);
  await studio.play();
  await studio.waitForPosition("Vocals", 1);
  await studio.pause();

  await studio.waitForStems();
  expect(await studio.page.title()).toBe("Example · otolith");
  expect(await studio.progress("Separation").count()).toBe(0);

  await studio.lane("Song").press("Home");
  const before = (await studio.watched()).starts.length;
  await studio.play();
  const starts = (await studio.watched()).starts.slice(before);
  expect(starts).toHaveLength(2);
  expect(starts[0], "both stems start at one instant from one place").toEqual(starts[1]);

  await studio.soloStem("Vocals");
  expect(await studio.button("Solo Vocals").getAttribute("aria-pressed")).toBe("true");
  await studio.muteStem("Vocals");
  expect(await studio.button("Mute Vocals").getAttribute("aria-pressed")).toBe("true");
  await studio.pause();

  const vocals = await studio.save("Download Vocals as WAV");
  const instrumental = await studio.save("Download Instrumental as WAV");
  expect([vocals.name, instrumental.name]).toEqual(["Example vocals.wav", "Example instrumental.wav"]);
  const [left, right] = [readWav16(vocals.bytes), readWav16(instrumental.bytes)];
  const song = await decodeExample(studio.page, left.sampleRate);
  expect([left.sampleRate, right.sampleRate]).toEqual([truth.sampleRate, truth.sampleRate]);
  expect(left.channels.map((channel) => channel.length)).toEqual(song.channels.map((channel) => channel.length));
  let worst = 0;
  let energy = 0;
  song.channels.forEach((channel, index) => {
    channel.forEach((sample, frame) => {
      const [voice, rest] = [left.channels[index]?.[frame] ?? 0, right.channels[index]?.[frame] ?? 0];
      worst = Math.max(worst, Math.abs(sample - voice - rest));
      energy += voice * voice;
    });
  });
  // Two roundings to 16 bit, half a step each, and the song's own.
  expect(worst, "16 bit stems against the song as Chromium decodes it").toBeLessThanOrEqual(3 / 32_768);
  expect(energy).toBeGreaterThan(0);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

/** The example at its own rate, as the browser's decoder reads it. */
async function decodeExample(page: Page, rate: number): Promise<{ channels: number[][]; sampleRate: number }> {
  return page.evaluate(async (sampleRate) => {
    const response = await fetch("example.flac");
    const buffer = await new OfflineAudioContext(2, 1, sampleRate).decodeAudioData(await response.arrayBuffer());
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => Array.from(buffer.getChannelData(index)));
    return { channels, sampleRate: buffer.sampleRate };
  }, rate);
}
