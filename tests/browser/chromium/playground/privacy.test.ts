import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";

const site = playground();

test("a whole visit asks only its own server, breaks no content policy, and fetches the network late", async () => {
  const studio = await site.visit();
  await studio.button("Try the example").waitFor();
  await studio.openExample();
  await studio.waitForBeats();
  await studio.enrol();
  await studio.matchFromHere();
  expect(studio.requests.filter((url) => /neural|\.onnx/.test(url))).toEqual([]);
  await studio.separate();
  await studio.waitForSegment("Vocals");
  await studio.waitForStems();
  expect((await studio.watched()).violations).toEqual([]);
  expect(studio.requests.some((url) => url.includes("neural"))).toBe(true);
  const foreign = studio.requests.filter((url) => !url.startsWith(`${site.url}/`) && !url.startsWith(`blob:${site.url}/`));
  expect(foreign).toEqual([]);
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test("all script and style of the page, workers included, are under 150 kB gzip", () => {
  const files = readdirSync("www/dist/assets").filter((file) => /\.(js|css)$/.test(file));
  const bytes = files.map((file) => gzipSync(readFileSync(`www/dist/assets/${file}`), { level: 9 }).length);
  expect(files.length).toBeGreaterThanOrEqual(4);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(150_000);
});

test("the content policy refuses an inline script, a foreign fetch, a blob worker and a string as a worker's address", async () => {
  const studio = await site.visit();
  await studio.button("Try the example").waitFor();
  const refused = await studio.page.evaluate(async () => {
    const outcome = async (attempt: () => unknown) => {
      try {
        await attempt();
        return "allowed";
      } catch {
        return "refused";
      }
    };
    const script = document.createElement("script");
    return {
      inline: await outcome(() => {
        script.textContent = "globalThis.ran = true";
        document.head.append(script);
        if (!("ran" in globalThis)) throw new Error("did not run");
      }),
      foreign: await outcome(() => fetch("https://example.com/")),
      blobWorker: await outcome(() => new Worker(URL.createObjectURL(new Blob(["0"], { type: "text/javascript" })))),
      stringWorker: await outcome(() => new Worker("assets/worker.js")),
    };
  });
  expect(refused).toEqual({ inline: "refused", foreign: "refused", blobWorker: "refused", stringWorker: "refused" });
  await studio.close();
});

test("without OffscreenCanvas the same painters run on the page", async () => {
  const studio = await site.visit({}, async ({ page }) => {
    await page.addInitScript(() => {
      Reflect.deleteProperty(HTMLCanvasElement.prototype, "transferControlToOffscreen");
    });
  });
  await studio.openExample();
  await studio.waitForBeats();
  await studio.page.waitForFunction(() => {
    const canvas = document.querySelector<HTMLCanvasElement>("sound-lane canvas");
    const pixels = canvas?.width ? canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data : undefined;
    return pixels?.some((value) => value > 0) ?? false;
  });
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test("a browser without SIMD is told so in a sentence", async () => {
  const studio = await site.visit({}, async ({ page }) => {
    await page.addInitScript(() => {
      WebAssembly.validate = () => false;
    });
  });
  await studio.alert().waitFor();
  expect(await studio.alert().textContent()).toMatch(/cannot run here.*SIMD/);
  await studio.close();
});
