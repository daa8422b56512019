import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createEngine } from "otolith";
import { describe, expect, it } from "vitest";

const dist = new URL("../../dist/", import.meta.url);

/** Serves one answer to every request while `action` runs. */
async function served<T>(answer: { status: number; type: string; body: string }, action: (url: URL) => Promise<T>): Promise<T> {
  const server = createServer((_, response) => response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await action(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/core.wasm`));
  } finally {
    server.close();
  }
}

/** What a module prints that runs in a process of its own. */
function runInNode(script: string, flags: readonly string[] = []): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...flags, "--input-type=module", "--eval", script], { timeout: 30_000 }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr || error.message)) : resolve(stdout.trim()),
    );
  });
}

describe("starting", () => {
  it("a web page in the place of core.wasm is told as such, with the option to set", async () => {
    const page = { status: 200, type: "text/html", body: "<!doctype html><title>app</title>" };
    const failure = await served(page, (core) => createEngine({ urls: { core } }).catch((error) => error));
    expect(failure).toMatchObject({ name: "OtolithError", code: "unsupported-environment" });
    expect(failure.message).toMatch(
      /got a web page, not wasm: http.*status 200, content type text\/html, first bytes "<!doctype html>.*set urls\.core/,
    );
  });

  it.each([
    [{ status: 404, type: "text/plain", body: "no" }, /answered status 404/],
    [{ status: 200, type: "application/wasm", body: "not wasm at all" }, /could not compile/],
  ])("an answer %o is told as such", async (answer, message) => {
    const failure = await served(answer, (core) => createEngine({ urls: { core: core.href } }).catch((error) => error));
    expect(failure).toMatchObject({ code: "unsupported-environment", message: expect.stringMatching(message) });
  });

  it("an address where nothing listens is told as such", async () => {
    const core = new URL("http://127.0.0.1:9/core.wasm");
    await expect(createEngine({ urls: { core } })).rejects.toMatchObject({
      code: "unsupported-environment",
      message: expect.stringContaining("urls.core"),
    });
  });

  it("a worker script that is not there is told as such", async () => {
    const worker = new URL("file:///nothing/worker.js");
    await expect(createEngine({ urls: { worker } })).rejects.toMatchObject({
      code: "unsupported-environment",
      message: expect.stringContaining("urls.worker"),
    });
  });

  it("core.wasm may be given as bytes, module or response", async () => {
    const bytes = new Uint8Array(await readFile(fileURLToPath(new URL("core.wasm", dist)))).buffer;
    const response = new Response(bytes.slice(0), { headers: { "content-type": "application/wasm" } });
    for (const core of [bytes, await WebAssembly.compile(bytes), response]) {
      const engine = await createEngine({ urls: { core }, workers: 1 });
      const { channels } = await engine.decode({ channels: [Float32Array.of(0.5)], sampleRate: 8000 });
      expect(channels[0]?.[0]).toBe(0.5);
      await engine.dispose();
    }
  });

  it("an engine and a catalogue that idle do not keep Node alive", async () => {
    const script = `
      import { createEngine } from ${JSON.stringify(new URL("node.js", dist).href)};
      const engine = await createEngine({ workers: 1 });
      await engine.decode({ channels: [Float32Array.of(0.5)], sampleRate: 8000 });
      const catalog = await engine.openCatalog();
      console.log(await catalog.has("x"));`;
    const output = await runInNode(script);
    expect(output).toBe("false");
  });

  it.each(["verify", "load", "infer"])(
    "an engine that is closed in the phase %s of a separation does not end the process",
    async (phase) => {
      const script = `
      import { createEngine } from ${JSON.stringify(new URL("node.js", dist).href)};
      const engine = await createEngine({ workers: 1 });
      const sound = { channels: [Float32Array.from({ length: 8000 }, (_, n) => Math.sin(n / 9))], sampleRate: 8000 };
      let closed;
      const onProgress = (progress) => { if (progress.phase === ${JSON.stringify(phase)}) closed ??= engine.dispose(); };
      const outcome = await engine.separate(sound, { onProgress }).then(() => "separated", ({ code }) => code);
      await closed;
      console.log(outcome);`;
      const output = await runInNode(script);
      expect(output).toBe("disposed");
    },
  );
});

describe("importing the browser entry", () => {
  it("touches nothing: it works in a context with an empty global", async () => {
    // Modules in a context need a flag of Node's, hence a process of its own.
    const script = `
      const { readFileSync } = await import("node:fs");
      const { createContext, SourceTextModule } = await import("node:vm");
      const context = createContext({});
      const module = new SourceTextModule(readFileSync(${JSON.stringify(fileURLToPath(new URL("index.js", dist)))}, "utf8"), { context });
      await module.link(() => { throw new Error("it imports something"); });
      await module.evaluate();
      console.log(Object.keys(module.namespace).sort().join(), Object.keys(context).length);`;
    const output = await runInNode(script, ["--experimental-vm-modules", "--no-warnings"]);
    expect(output).toBe("JobPriority,OtolithError,createEngine 0");
  });

  it("createEngine names what a runtime without workers lacks", async () => {
    const { createEngine: inBrowser } = (await import(new URL("index.js", dist).href)) as { createEngine: typeof createEngine };
    await expect(inBrowser()).rejects.toMatchObject({ code: "unsupported-environment", details: { missing: ["Web Workers"] } });
  });
});
