import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { launchChromium, serve } from "../launch.js";
import { StudioPage } from "./studio-page.js";

/** The built playground on a server of its own and a Chromium, for the tests of one file. */
export function playground({ isolated = false } = {}) {
  let browser: Browser;
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    server = await serve({ folders: ["www/dist"], isolated });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  return {
    /** Opens the playground in a fresh profile. */
    visit: (options: BrowserContextOptions = {}, before?: (studio: StudioPage) => Promise<void>) =>
      StudioPage.visit(browser, server.url, options, before),
    /** Where it is served. */
    get url() {
      return server.url;
    },
  };
}
