import { readFile } from "node:fs/promises";
import type { Browser, BrowserContextOptions, Download, Locator, Page } from "playwright-core";
import type { GivenFile } from "./sounds.js";

/** One start of a sound source: when on the context's clock, from where in its buffer, and how long that is, in seconds. */
export interface SourceStart {
  when: number;
  offset: number;
  duration: number;
}

/** What is watched in the page besides what it shows. */
interface Watched {
  starts: SourceStart[];
  violations: string[];
}

/** The studio as a visitor uses it: verbs, and places by role and name. */
export class StudioPage {
  /** Address of every request of the page and its workers. */
  readonly requests: string[] = [];
  /** Errors that nothing caught. */
  readonly errors: string[] = [];

  private constructor(readonly page: Page) {
    page.context().on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.errors.push(error.message));
  }

  /** @param before runs before the page is loaded */
  static async visit(browser: Browser, url: string, options: BrowserContextOptions, before?: (studio: StudioPage) => Promise<void>) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const studio = new StudioPage(await context.newPage());
    await studio.page.addInitScript(watch);
    await before?.(studio);
    await studio.page.goto(url);
    return studio;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole("button", { name, exact: typeof name === "string" });
  }

  lane(name: string): Locator {
    return this.page.getByRole("slider", { name: `${name}, position` });
  }

  track(name: string): Locator {
    return this.page.getByRole("group", { name });
  }

  title(): Locator {
    return this.page.getByRole("heading", { level: 1 }).filter({ visible: true });
  }

  alert(): Locator {
    return this.page.getByRole("alert").filter({ visible: true });
  }

  progress(name: string): Locator {
    return this.page.getByRole("progressbar", { name });
  }

  async openExample(): Promise<void> {
    await this.button("Try the example").click();
    await this.waitForTitle("Example");
  }

  /** Gives a file through the chooser. */
  async giveFile(file: GivenFile): Promise<void> {
    await this.page.getByLabel("Sound file").setInputFiles(file);
  }

  /** Drops files on the page. */
  async dropFile(file: GivenFile): Promise<void> {
    const data = await this.page.evaluateHandle(
      ({ name, mimeType, base64 }) => {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: mimeType }));
        return transfer;
      },
      { name: file.name, mimeType: file.mimeType, base64: file.buffer.toString("base64") },
    );
    await this.page.getByRole("main").dispatchEvent("drop", { dataTransfer: data });
  }

  async waitForTitle(title: string): Promise<void> {
    await this.title().filter({ hasText: title }).waitFor();
  }

  async waitForBeats(): Promise<void> {
    await this.page.getByRole("complementary", { name: "Results" }).getByText("Show beats as table").waitFor();
  }

  /** Starts the separation. */
  async separate(): Promise<void> {
    await this.button("Separate vocals").click();
  }

  /** Waits until a first segment of a stem is there. */
  async waitForSegment(stem: string): Promise<void> {
    await this.track(stem).waitFor();
  }

  /** Waits until the separation is done. */
  async waitForStems(): Promise<void> {
    await this.button("Separate again").waitFor({ timeout: 150_000 });
  }

  async soloStem(stem: string): Promise<void> {
    await this.button(`Solo ${stem}`).click();
  }

  async muteStem(stem: string): Promise<void> {
    await this.button(`Mute ${stem}`).click();
  }

  async play(): Promise<void> {
    await this.button("Play").click();
    await this.button("Pause").waitFor();
  }

  async pause(): Promise<void> {
    await this.button("Pause").click();
    await this.button("Play").waitFor();
  }

  /** Position of a lane in whole seconds, as a screen reader is told it. */
  async position(lane: string): Promise<number> {
    return Number(await this.lane(lane).getAttribute("aria-valuenow"));
  }

  /** Waits until a lane's position is at least so many seconds. */
  async waitForPosition(lane: string, seconds: number): Promise<void> {
    await this.page.waitForFunction(
      ([name, least]) => Number(document.querySelector(`[aria-label="${name}, position"]`)?.getAttribute("aria-valuenow")) >= Number(least),
      [lane, seconds] as const,
    );
  }

  async enrol(): Promise<void> {
    await this.button("Enrol this song").click();
    await this.button("Enrolled").waitFor();
  }

  /** Text of the answer to a match. */
  async matchFromHere(): Promise<string> {
    await this.button(/^Match \d+ s from here$/).click();
    return this.answer(" s of ");
  }

  async matchFile(file: GivenFile): Promise<string> {
    await this.page.getByLabel("Clip to match").setInputFiles(file);
    // The answer to an earlier question stays on the page until this one has its own.
    return this.answer(file.name);
  }

  /** Presses a button that saves files, and gives the first file's name and bytes. */
  async save(button: string): Promise<{ name: string; bytes: Buffer }> {
    const [download] = await Promise.all([this.page.waitForEvent("download"), this.button(button).click()]);
    return contents(download);
  }

  /** All that was watched so far. */
  async watched(): Promise<Watched> {
    return this.page.evaluate(() => (globalThis as unknown as { watched: Watched }).watched);
  }

  /** Kills the worker that is next asked for `method`, by a panic inside wasm while it is at that work. */
  async panicDuring(method: string, message: string): Promise<void> {
    await this.page.evaluate(
      ([method, text]) => {
        const { postMessage } = Worker.prototype as unknown as { postMessage: (...args: unknown[]) => void };
        Worker.prototype.postMessage = function (this: Worker, ...args: unknown[]) {
          postMessage.apply(this, args);
          if ((args[0] as { method?: unknown }).method !== method) return;
          Worker.prototype.postMessage = postMessage;
          postMessage.call(this, { id: 2 ** 40, method: "testPanic", params: { message: text } });
        };
      },
      [method, message],
    );
  }

  /** The answer to the question that is worded with `query`, once it is there. */
  private async answer(query: string): Promise<string> {
    const panel = this.page.locator("match-panel");
    const answer = panel
      .getByRole("status")
      .filter({ hasText: / is from |^No match/ })
      .filter({ hasText: query });
    await answer.waitFor();
    return (await answer.textContent()) ?? "";
  }
}

async function contents(download: Download): Promise<{ name: string; bytes: Buffer }> {
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** Runs in the page before its own scripts: remembers source starts and refused content. */
function watch(): void {
  const watched: Watched = { starts: [], violations: [] };
  Object.assign(globalThis, { watched });
  document.addEventListener("securitypolicyviolation", (event) =>
    watched.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
  );
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (this: AudioBufferSourceNode, when = 0, offset = 0) {
    watched.starts.push({ when, offset, duration: this.buffer?.duration ?? 0 });
    start.call(this, when, offset);
  };
}
