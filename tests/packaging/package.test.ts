// What is in the tarball: files, sizes, licences, and what publint and attw think of it.
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { pack, root } from "./tarball.js";

let tarball = "";
let files: string[] = [];

beforeAll(() => {
  tarball = pack();
  files = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" })
    .split("\n")
    .filter(Boolean)
    .map((path) => path.replace(/^package\//, ""));
});

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const budgets: Record<"release" | "build", Record<string, number>> = JSON.parse(
  readFileSync(join(root, "pkg-config/budgets.json"), "utf8"),
);
const gzipped = (path: string) => gzipSync(readFileSync(join(root, path)), { level: 9 }).length;

/** Runs a program of node_modules; gives what it printed if it failed, else nothing. */
function complaintsOf(program: string, args: string[]): string {
  try {
    execFileSync(process.execPath, [join(root, "node_modules", program), ...args], { cwd: root, encoding: "utf8", stdio: "pipe" });
    return "";
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}\n${stderr}`;
  }
}

describe("the tarball", () => {
  test("holds every file that package.json points at, and licences and notices", () => {
    const targets = Object.values<string | Record<string, string>>(manifest.exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );
    const expected = [...targets, ...Object.values<string>(manifest.bin), manifest.main, manifest.types].map((path) =>
      path.replace(/^\.\//, ""),
    );
    for (const path of [...expected, "LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-NOTICES.md", "README.md", "CHANGELOG.md"])
      expect(files).toContain(path);
  });

  test("holds nothing else: no source, no test, no tool", () => {
    expect(files.filter((path) => !/^(dist\/|package\.json$|[A-Z-]+(\.md)?$)/.test(path))).toEqual([]);
  });

  test("holds every model file that its manifest names, as it claims", () => {
    const { models } = JSON.parse(readFileSync(join(root, "dist/models/manifest.json"), "utf8"));
    expect(models.length).toBeGreaterThan(0);
    const filesOf = (model: { files?: [] }) => model.files ?? [model];
    for (const { file, bytes } of models.flatMap(filesOf)) {
      expect(files).toContain(`dist/models/${file}`);
      expect(statSync(join(root, "dist/models", file)).size).toBe(bytes);
    }
  });

  test("runs no script at install and needs no other package", () => {
    expect(manifest.dependencies ?? {}).toEqual({});
    for (const hook of ["preinstall", "install", "postinstall", "prepare"]) expect(manifest.scripts).not.toHaveProperty(hook);
  });

  test("publint finds nothing", () => {
    expect(complaintsOf("publint/src/cli.js", [tarball, "--strict"])).toBe("");
  });

  test("the types resolve as an ES module everywhere", () => {
    const entries = ["--exclude-entrypoints", "core.wasm", "neural.wasm", "models.json"];
    expect(complaintsOf("@arethetypeswrong/cli/dist/index.js", [tarball, "--profile", "esm-only", ...entries])).toBe("");
  });
});

describe("sizes, gzip level 9", () => {
  test("the entry for pages and the worker are within their budget", () => {
    expect(gzipped("dist/index.js") + gzipped("dist/worker.js")).toBeLessThanOrEqual(budgets.release["entry and worker"] ?? 0);
  });

  test.each(["core.wasm", "neural.wasm"])("%s is within the budget of a build without wasm-opt", (name) => {
    expect(gzipped(`dist/${name}`)).toBeLessThanOrEqual(budgets.build[name] ?? 0);
  });

  test("the tarball is within its budget", () => {
    expect(statSync(tarball).size).toBeLessThanOrEqual(budgets.release.tarball ?? 0);
  });
});

test("the notices agree with Cargo.lock, and every linked licence is one that may be", () => {
  const check = () =>
    execFileSync(process.execPath, [join(root, "pkg-config/notices.mjs"), "--check"], { cwd: root, encoding: "utf8", stdio: "pipe" });
  expect(check).not.toThrow();
});
