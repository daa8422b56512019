// A bare page that loads the built package, and the sounds that tests run in it and in Node alike.
import { melody } from "../js/signal.js";
import { serve } from "./launch.js";

/** A page of either driver. */
interface Evaluating {
  evaluate(expression: string): Promise<unknown>;
}

const page = '<!doctype html><html lang="en"><title>otolith</title>';

/** Serves the built package beside an empty page and the fixture networks. `routes` answer first. */
export function serveEngine(options: Partial<Parameters<typeof serve>[0]> = {}) {
  const blank: NonNullable<Parameters<typeof serve>[0]["routes"]>[string] = (_, response) =>
    void response.writeHead(200, { "content-type": "text/html" }).end(page);
  // Browsers ask for an icon on their own, and a missing one is an error in their console.
  const icon: typeof blank = (_, response) => void response.writeHead(204).end();
  return serve({
    folders: ["dist", "tests/data"],
    csp: false,
    ...options,
    routes: { "/": blank, "/favicon.ico": icon, ...options.routes },
  });
}

/**
 * Runs the body of an async function in the page, with `otolith` (the package) and `input` in scope. As text: a function of the test
 * would be rewritten by the test runner before it got there.
 */
export async function inPage<T>(page: Evaluating, body: string, input: unknown = null): Promise<T> {
  const result = await page.evaluate(`(async (input) => {
    const otolith = await import("/index.js");
    const sha256 = async (...parts) => {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    };
    const sound = (spec) => ({ sampleRate: spec.sampleRate, channels: spec.channels.map((channel) => Float32Array.from(channel)) });
    ${body}
  })(${JSON.stringify(input)})`);
  return result as T;
}

/** Stereo that has beats, landmarks and several short chunks in it, as it goes to a page. */
export function song(seconds: number) {
  const sampleRate = 22_050;
  return { sampleRate, channels: [Array.from(melody(seconds, sampleRate, 21)), Array.from(melody(seconds, sampleRate, 22))] };
}
