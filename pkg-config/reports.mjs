// Readers of what test runners report: nextest's JUnit file, libtest's lines, and the file of our vitest reporter.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";

const entities = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const decodeEntities = (text) =>
  text
    .replace(/<!\[CDATA\[([\s\S]*?)\]\]>/g, "$1")
    .replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex, decimal, name) =>
      hex ? String.fromCodePoint(Number.parseInt(hex, 16)) : decimal ? String.fromCodePoint(Number(decimal)) : (entities[name] ?? whole),
    );

/** Cases of a JUnit file as nextest writes it. */
export function readJunit(file, repeat) {
  if (!existsSync(file)) return [];
  const xml = readFileSync(file, "utf8");
  rmSync(file); // a stale report must never be read for a runner that wrote none
  return [...xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(([, attributes, body = ""]) => {
    const name = decodeEntities(attributes.match(/\bname="([^"]*)"/)?.[1] ?? "?");
    const binary = decodeEntities(attributes.match(/\bclassname="([^"]*)"/)?.[1] ?? "");
    const failure = body.match(/<(?:failure|error)\b([^>]*?)(?:\/>|>([\s\S]*?)<\/(?:failure|error)>)/);
    const status = failure ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed";
    return {
      name: binary ? `${binary} ${name}` : name,
      status,
      message: failure ? decodeEntities(failure[2] || failure[1] || "") : undefined,
      repeat: failure ? repeat(name, binary) : undefined,
    };
  });
}

/** Cases of libtest's output: `test path::name ... ok`, with the text under `---- path::name stdout ----`. */
export function readLibtest(output, repeat) {
  const plain = stripVTControlCharacters(output);
  return [...plain.matchAll(/^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored|FAIL)(?:, (.*))?$/gm)].map(
    ([, name, outcome, why]) => {
      const status = { ok: "passed", ignored: "skipped" }[outcome] ?? "failed";
      const at = Math.max(0, plain.indexOf(`---- ${name} `));
      return {
        name,
        status,
        reason: status === "skipped" ? (why ?? "marked as ignored") : undefined,
        message: status === "failed" ? plain.slice(at, at + 2000) : undefined,
        repeat: status === "failed" ? repeat(name) : undefined,
      };
    },
  );
}

/** Cases of the file that pkg-config/vitest-report.mjs writes. */
export function readVitest(file, repeat) {
  if (!existsSync(file)) return [];
  const cases = JSON.parse(readFileSync(file, "utf8"));
  rmSync(file);
  return cases.map((one) => (one.status === "failed" ? { ...one, repeat: repeat(one) } : one));
}
