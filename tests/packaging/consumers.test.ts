// The packed package as its users have it: in Node, in a page built by Vite, under TypeScript.
import { execFileSync } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../../pkg-config/browsers.mjs";
import { contentSecurityPolicy, serve } from "../../pkg-config/serve.mjs";
import { launchChromium } from "../browser/launch.js";
import { installInto, pack, root } from "./tarball.js";

// Trusted Types need a page's own policy for the worker's address (`urls.worker`); all else of the policy holds without a line of code.
const withoutTrustedTypes = contentSecurityPolicy(["require-trusted-types-for", "trusted-types"]);

let tarball = "";
let inNode: { beats: number[]; bpm: number; hashCount: number; print: string };

beforeAll(() => {
  tarball = pack();
  const folder = installInto("node", tarball);
  inNode = JSON.parse(execFileSync(process.execPath, ["main.mjs"], { cwd: folder, encoding: "utf8" }));
});

describe("Node", () => {
  test("ES modules: clicks at 120 BPM are heard as such", () => {
    expect(Math.abs(inNode.bpm - 120)).toBeLessThan(1);
    expect(inNode.hashCount).toBeGreaterThan(10);
  });

  test("require of the ES module, where this Node has it", ({ skip }) => {
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    skip(major === 20 ? minor < 19 : major < 22, "this Node cannot require an ES module");
    const folder = installInto("node", tarball);
    const said = execFileSync(process.execPath, ["-e", 'console.log(typeof require("otolith").createEngine)'], {
      cwd: folder,
      encoding: "utf8",
      stdio: "pipe",
    });
    expect(said.trim()).toBe("function");
  });

  test("the installed command answers", () => {
    const folder = installInto("node", tarball);
    const said = execFileSync(process.execPath, ["node_modules/otolith/dist/cli.js", "models", "list", "--json"], {
      cwd: folder,
      encoding: "utf8",
    });
    const names = said
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).name);
    expect(names).toContain("separator-2-lite");
  });

  test("import has no effect: no worker, port or timer is left open", () => {
    const folder = installInto("node", tarball);
    const script =
      'await import("otolith"); await new Promise(setImmediate); console.log(JSON.stringify(process.getActiveResourcesInfo()))';
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: folder, encoding: "utf8" });
    expect(JSON.parse(said).filter((kind: string) => /Worker|MessagePort|Timeout|TCP|FS/.test(kind))).toEqual([]);
  });
});

test("a page built by Vite gives Node's bits under the strict content policy, and fetches neural.wasm only to separate", async ({
  skip,
}) => {
  skip(!findProgram("chromium"), "chromium is not installed");
  const folder = installInto("vite", tarball);
  execFileSync(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", folder, "--logLevel", "error"], {
    cwd: folder,
    stdio: "pipe",
  });
  const server = await serve({
    folders: [join(folder, "dist")],
    csp: withoutTrustedTypes,
    routes: { "/favicon.ico": (_, response) => response.writeHead(204).end() },
  });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(server.url);
    await page.waitForFunction("typeof listen === 'function'");
    const inPage: typeof inNode = await page.evaluate("listen()");
    expect(inPage).toEqual(inNode);
    expect(server.requests.filter((path) => path.includes("neural"))).toEqual([]);
    expect(await page.evaluate("separate()")).toEqual([
      ["vocals", 44100],
      ["instrumental", 44100],
    ]);
    expect(server.requests.filter((path) => path.includes("neural"))).toHaveLength(1);
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});

describe("TypeScript", () => {
  test.each([["node16"], ["bundler"]])("the declarations compile under %s resolution, strict, libraries checked", (moduleResolution) => {
    const folder = installInto("typescript", tarball);
    const compilerOptions = {
      target: "ES2022",
      module: moduleResolution === "node16" ? "node16" : "ESNext",
      moduleResolution,
      lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable"], // only the DOM library declares WebAssembly
      types: moduleResolution === "node16" ? ["node"] : [],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
    for (const name of ["@types/node", "undici-types"])
      cpSync(join(root, "node_modules", name), join(folder, "node_modules", name), { recursive: true });
    const compile = () =>
      execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder], { encoding: "utf8", stdio: "pipe" });
    expect(() => {
      try {
        compile();
      } catch (error) {
        throw new Error((error as { stdout: string }).stdout);
      }
    }).not.toThrow();
  });
});
