// Rules of the source tree that a reader relies on: imports only go down the floors, files are short, names mean something, and the
// map in ARCHITECTURE.md leads to files that exist.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Every file that belongs to the project, tracked or about to be. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((path) => path && existsSync(join(root, path)));

const code = files.filter((path) => /\.(rs|ts|mjs|css|py)$/.test(path) && !path.endsWith(".d.ts"));

/** Floors of the Rust crate, from the ground up; a module may name those of its own number or lower. */
const floor: Readonly<Record<string, number>> = {
  error: 0,
  limits: 0,
  header: 0,
  dsp: 1,
  audio: 1,
  model: 2,
  separate: 3,
  beat: 3,
  fingerprint: 3,
  wasm: 4,
};
const rooms = Object.keys(floor).filter((name) => floor[name] === 3);

/** What is wrong with a Rust file's imports. */
function wrongImportsOf(path: string, text: string): string[] {
  const own = path.split("/")[1]?.replace(/\.rs$/, "") ?? "";
  if (own === "lib" || !path.startsWith("src/")) return [];
  const ownFloor = floor[own];
  if (ownFloor === undefined) return [`${path}: its module is on no floor; name it in the list of this test`];
  const production = text.replace(/^\s*\/\/.*$/gm, "");
  const grouped = [...production.matchAll(/\bcrate::\{([^}]*)\}/g)].flatMap(([, names]) =>
    (names ?? "").split(",").map((one) => one.trim().split("::")[0] ?? ""),
  );
  const single = [...production.matchAll(/\bcrate::(\w+)/g)].map(([, name]) => name ?? "");
  return [...grouped, ...single].flatMap((name) => {
    const other = floor[name];
    if (other === undefined || name === own) return [];
    if (other > ownFloor) return [`${path} imports ${name}, which is above it`];
    if (other === 3 && ownFloor === 3 && rooms.includes(name)) return [`${path} imports ${name}, another room`];
    return [];
  });
}

const tsImports = (text: string) =>
  [...text.matchAll(/^\s*(?:import|export)\b(?:[^"';]*?\bfrom)?\s*["']([^"']+)["']|\bimport\s*\(\s*["']([^"']+)["']/gm)].map(
    ([, fixed, dynamic]) => fixed ?? dynamic ?? "",
  );

/** What is wrong with a TypeScript file's imports. */
function wrongScriptImportsOf(path: string, text: string): string[] {
  return tsImports(text).flatMap((name) => {
    const target = name.startsWith(".") ? join(dirname(path), name) : name;
    if (path.startsWith("www/")) {
      const isInside = target.startsWith("www/") || /^(otolith|vite)(\/|$)/.test(target) || target.startsWith("node:");
      const isBuildFile = path === "www/vite.config.ts";
      return isInside || isBuildFile ? [] : [`${path} imports ${name}: the page uses the public package alone`];
    }
    if (path.startsWith("js/")) {
      if (target.startsWith("www/") || target.startsWith("tests/")) return [`${path} imports ${name}, which is above it`];
      if (target.startsWith("js/cli/") && !path.startsWith("js/cli/")) return [`${path} imports the command line`];
      const isBare = !name.startsWith(".") && !name.startsWith("@wasm/") && !name.startsWith("node:");
      if (isBare) return [`${path} imports ${name}: the package has no dependency at run time`];
    }
    return [];
  });
}

describe("imports", () => {
  test("Rust modules import only what is below them", () => {
    const wrong = files.filter((path) => /^src\/.*\.rs$/.test(path)).flatMap((path) => wrongImportsOf(path, read(path)));
    expect(wrong).toEqual([]);
  });

  test("the check sees an import that goes up, and one into another room", () => {
    expect(wrongImportsOf("src/dsp/mel.rs", "use crate::beat::Track;")).toHaveLength(1);
    expect(wrongImportsOf("src/beat/mod.rs", "use crate::{audio::Audio, fingerprint};")).toHaveLength(1);
    expect(wrongImportsOf("src/beat/mod.rs", "use crate::dsp::mel; use crate::beat::tempo;")).toEqual([]);
  });

  test("only src/wasm names the bindings to JavaScript", () => {
    const named = files.filter(
      (path) => /^src\/(?!wasm\/).*\.rs$/.test(path) && /\b(wasm_bindgen|js_sys|web_sys)::(?!wasm_bindgen_test)/.test(read(path)),
    );
    expect(named).toEqual([]);
  });

  test("the page imports only the public package, the package nothing from outside", () => {
    const scripts = files.filter((path) => /^(js|www)\/.*\.ts$/.test(path));
    expect(scripts.flatMap((path) => wrongScriptImportsOf(path, read(path)))).toEqual([]);
  });

  test("the check sees a page that reaches into the package", () => {
    expect(wrongScriptImportsOf("www/state/song.ts", 'import { Job } from "../../js/job.js";')).toHaveLength(1);
    expect(wrongScriptImportsOf("js/engine.ts", 'import lodash from "lodash";')).toHaveLength(1);
  });
});

describe("files", () => {
  test("none is past 500 lines without a reason in pkg-config/long-files.json", () => {
    const reasons: Record<string, string> = JSON.parse(read("pkg-config/long-files.json"));
    const long = code.filter((path) => read(path).split("\n").length > 501 && !reasons[path]);
    expect(long).toEqual([]);
  });

  test("none is named after nothing", () => {
    const vague = code.filter((path) => /^(utils?|helpers?|common|misc|managers?)([._-]|$)/i.test(basename(path)));
    expect(vague).toEqual([]);
  });

  test("none holds a note to do something later", () => {
    const marker = new RegExp(`\\b(${["TO", "DO"].join("")}|${["FIX", "ME"].join("")}|${["XX", "X"].join("")})\\b`);
    expect(code.filter((path) => marker.test(read(path)))).toEqual([]);
  });
});

/** Whether a path of the map exists; `<room>` stands for any name, a bare file name for one in the folder of the path before it. */
function exists(path: string): boolean {
  if (!path.includes("<")) return existsSync(join(root, path));
  const pattern = new RegExp(
    `^${basename(path)
      .replaceAll(".", "\\.")
      .replace(/<[^>]+>/g, ".+")}$`,
  );
  const folder = join(root, dirname(path));
  return existsSync(folder) && readdirSync(folder).some((name) => pattern.test(name));
}

test("every file that ARCHITECTURE.md's table names exists", () => {
  const rows = read("ARCHITECTURE.md")
    .split("\n")
    .filter((line) => /^\|[^|]+\|[^|]*`/.test(line));
  expect(rows.length).toBeGreaterThan(5);
  const missing: string[] = [];
  for (const row of rows) {
    let folder = "";
    for (const [, token = ""] of row.matchAll(/`([^`]+)`/g)) {
      if (!/^[\w./<>-]+$/.test(token) || !/[./]/.test(token)) continue;
      const path = token.includes("/") || existsSync(join(root, token)) ? token : join(folder, token);
      folder = path.includes("/") ? dirname(path) : folder;
      if (!exists(path)) missing.push(path);
    }
  }
  expect(missing).toEqual([]);
});

describe("tools", () => {
  const run = (program: string, args: string[]) => {
    try {
      execFileSync(process.execPath, [join(root, "node_modules", program), ...args], { cwd: root, encoding: "utf8", stdio: "pipe" });
      return "";
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return `${stdout}\n${stderr}`.slice(-4000);
    }
  };

  test("biome finds nothing", () => {
    expect(run("@biomejs/biome/bin/biome", ["check", "--diagnostic-level=warn", "--colors=off"])).toBe("");
  });

  test("tsc finds nothing in package and tests", () => {
    expect(run("typescript/bin/tsc", ["-p", "tsconfig.json", "--noEmit"])).toBe("");
  });

  test("tsc finds nothing in the page", () => {
    expect(run("typescript/bin/tsc", ["-p", "www/tsconfig.json", "--noEmit"])).toBe("");
  });
});
