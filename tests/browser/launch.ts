// The system's browsers, ready for a test. Each has a fresh profile and is closed by the test that opened it.
import { type Browser as ChromiumBrowser, type BrowserContext as ChromiumContext, chromium } from "playwright-core";
import puppeteer, { type Browser as FirefoxBrowser } from "puppeteer-core";
import { findProgram } from "../../pkg-config/browsers.mjs";

export { serve } from "../../pkg-config/serve.mjs";

function program(kind: "chromium" | "firefox"): string {
  const path = findProgram(kind);
  if (!path) throw new Error(`${kind} is not installed`);
  return path;
}

/**
 * Starts the system's Chromium, headless. Sound plays without a gesture; the sandbox is off where the user is root, since Chromium
 * refuses to start otherwise.
 */
export function launchChromium(flags: string[] = []): Promise<ChromiumBrowser> {
  return chromium.launch(chromiumOptions(flags));
}

/** Starts it with a profile in a folder. The contexts of {@link launchChromium} are private windows, whose storage is in memory. */
export function launchChromiumProfile(folder: string): Promise<ChromiumContext> {
  return chromium.launchPersistentContext(folder, chromiumOptions());
}

function chromiumOptions(flags: string[] = []) {
  const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return {
    executablePath: program("chromium"),
    headless: true,
    args: ["--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage", ...asRoot, ...flags],
  };
}

/** Starts the system's Firefox, headless, over WebDriver BiDi. */
export function launchFirefox(): Promise<FirefoxBrowser> {
  return puppeteer.launch({
    browser: "firefox",
    executablePath: program("firefox"),
    headless: true,
    extraPrefsFirefox: {
      "media.autoplay.default": 0,
      "browser.tabs.remote.autostart": true,
      // Without a sound card Firefox leaves an AudioContext suspended for good.
      "media.cubeb.force_mock_context": true,
    },
  });
}
