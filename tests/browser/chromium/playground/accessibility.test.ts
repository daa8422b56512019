import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import type { StudioPage } from "../../pages/studio-page.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const site = playground();
mkdirSync("out/shots", { recursive: true });

/** Violations of serious or critical impact, as `rule: element`. */
async function violations({ page }: StudioPage): Promise<string[]> {
  // The page's content policy would refuse the checker, which therefore comes in by the debugging protocol.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> };
    };
    const found = (await axe.run()).violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

const sizes = [
  { width: 1280, height: 800 },
  { width: 320, height: 640 },
];

describe.each(sizes)("at $width x $height", (viewport) => {
  test.each(["light", "dark"] as const)(
    "empty, running, done and error pages are accessible in %s, and nothing but lanes is wider than the page",
    async (colorScheme) => {
      const studio = await site.visit({ viewport, colorScheme, reducedMotion: "reduce" });
      const check = async (state: string) => {
        await studio.page.screenshot({ path: `out/shots/${state}-${viewport.width}-${colorScheme}.png`, fullPage: viewport.width < 900 });
        expect(await violations(studio), state).toEqual([]);
        const overflow = await studio.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(overflow, `${state}: pixels beyond the page's width`).toBe(0);
      };
      await studio.button("Try the example").waitFor();
      await check("empty");
      await studio.openExample();
      await studio.waitForBeats();
      await studio.separate();
      await studio.waitForSegment("Vocals");
      await check("running");
      await studio.waitForStems();
      await studio.enrol();
      await studio.lane("Song").press("ArrowRight");
      await studio.matchFromHere();
      await studio.page.evaluate(() => scrollTo(0, 0));
      await check("done");
      await studio.giveFile({ name: "letter.mp3", mimeType: "audio/mpeg", buffer: Buffer.from("Dear reader") });
      await studio.alert().waitFor();
      await check("error");
      await studio.close();
    },
  );
});

test("progress is announced politely and focus comes to the song's title", async () => {
  const studio = await site.visit();
  const heard: string[] = [];
  await studio.page.exposeFunction("heard", (text: string) => heard.push(text));
  await studio.button("Try the example").waitFor();
  await studio.page.evaluate(() => {
    const region = document.querySelector("[aria-live=polite]");
    const { heard } = globalThis as unknown as { heard(text: string): void };
    if (region)
      new MutationObserver(() => heard(region.textContent ?? "")).observe(region, { childList: true, characterData: true, subtree: true });
  });
  await studio.openExample();
  await expect.poll(() => studio.title().evaluate((title) => title === document.activeElement)).toBe(true);
  await studio.waitForBeats();
  await studio.separate();
  await studio.waitForStems();
  await expect.poll(() => heard).toContain("Separation done");
  expect(heard).toContain("Separation started");
  await studio.close();
});
