import { afterAll, beforeAll, expect, test } from "vitest";
import { launchFirefox, serve } from "../launch.js";

let browser: Awaited<ReturnType<typeof launchFirefox>>;
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  server = await serve({ folders: ["www/dist"] });
  browser = await launchFirefox();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test("the example's beats, stems in step, and a match, in Firefox", async () => {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.setDefaultTimeout(150_000); // below the test's own limit: on a busy machine the first beats take longer than puppeteer's 30 s
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(server.url);
  const button = (name: string) => page.locator(`::-p-aria([name="${name}"][role="button"])`);

  await button("Try the example").click();
  await page.locator("::-p-text(Show beats as table)").wait();
  const tempo = await page.$eval(".tempo", (element) => element.textContent);
  expect(tempo).toMatch(/^\d+\.\d BPM$/);

  await button("Separate vocals").setTimeout(60_000).click();
  await button("Solo Vocals").setTimeout(120_000).wait();
  await button("Separate again").setTimeout(150_000).wait();
  await button("Play").click();
  await page.waitForFunction(() => Number(document.querySelector('[aria-label="Vocals, position"]')?.getAttribute("aria-valuenow")) >= 1);
  await button("Solo Vocals").click();
  expect(await page.$eval('[aria-label="Solo Vocals"]', (element) => element.getAttribute("aria-pressed"))).toBe("true");
  await button("Pause").click();

  await button("Enrol this song").click();
  await button("Match 5 s from here").click();
  await page.locator("::-p-text( is from )").wait();
  const answer = await page.$eval("match-panel strong", (element) => element.textContent);
  expect(answer).toBe("Example");
  expect(errors).toEqual([]);
  await page.close();
});
