// What wasm-bindgen writes to call core.wasm is part of what it writes for neural.wasm. A worker runs one of the two files, and every page
// loads its script: so there is one glue for both in it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { wasmDir } from "./paths.mjs";

const gluePath = (variant) => join(wasmDir, variant, `${variant}.js`);
const readGlue = (variant) => readFileSync(gluePath(variant), "utf8");

/** The linker appends this to some exports of a module that has constructors to run, which neural.wasm has and core.wasm has not. */
const SUFFIX = "_command_export";

/** Functions, members of classes and imported functions of a glue, as their texts without comments. */
function partsOf(variant) {
  const text = readGlue(variant)
    .replaceAll(SUFFIX, "")
    .replaceAll(`./${variant}_bg.js`, "")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    // Views of memory that the start lets go: as many as are declared, and those are compared.
    .replace(/^ {4}cached\w+ = null;\n/gm, "");
  const parts = text.split(/^(?=(?:export |async )*(?:class|function|const|let|if) | {8}__wb| {4}\};)/m);
  // A class may have more members in neural.wasm, and each member counts with the class it is of.
  const members = (part) => part.split(/^(?= {4}\w)/m).map((member) => `${part.split("\n", 1)[0]}\n${member.trim()}`);
  return parts.flatMap((part) => (part.startsWith("export class") ? members(part.replace(/\}\s*$/, "")) : [part.trim()]));
}

/** Whether neural.wasm's glue has all of core.wasm's, to the letter. Not so while only one of the two has been built anew. */
export function isShared() {
  const whole = new Set(partsOf("neural"));
  return partsOf("core").every((part) => whole.has(part));
}

/** Puts `to` in the place of `from`, which must be there once: another wasm-bindgen may write something else. */
function exchange(text, from, to) {
  if (text.split(from).length !== 2) throw new Error(`the glue no longer has one ${from}: look at what wasm-bindgen writes now`);
  return text.replace(from, () => to);
}

/**
 * What workers do not need of a glue: they free by hand, every engine of `target` has FinalizationRegistry and encodeInto, and wasm takes a negative number
 * for the address that it is.
 */
const trimmed = (glue) =>
  glue
    .replace(/^if \(Symbol\.dispose\).*$/gm, "")
    .replace(/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{[\s\S]*?^\}\n/m, "")
    .replace(/\(typeof FinalizationRegistry === 'undefined'\)\s*\? \{.*\}\s*: new/g, "new")
    .replace(/^ +otolithKernels\.\w+\(.*$/gm, (call) => call.replaceAll(" >>> 0", ""));

/** For esbuild: glue that starts from a compiled module only, as workers do, and one for both wasm files where that can be. */
export const wasmGlue = {
  name: "wasm-glue",
  setup(build) {
    const shared = isShared();
    if (shared) build.onResolve({ filter: /^@wasm\/core$/ }, () => ({ path: gluePath("neural") }));
    build.onLoad({ filter: /wasm[\\/](core|neural)[\\/](core|neural)\.js$/ }, ({ path }) => {
      let glue = exchange(readFileSync(path, "utf8"), "export { initSync, __wbg_init as default };", "export { initSync };");
      if (shared) {
        glue = exchange(glue.replaceAll(SUFFIX, ""), '"./neural_bg.js": import0,', '"./neural_bg.js": import0, "./core_bg.js": import0,');
        const named = `Object.fromEntries(Object.entries(instance.exports).map(([name, value]) => [name.replace("${SUFFIX}", ""), value]))`;
        glue = exchange(glue, "wasm = instance.exports;", `wasm = ${named};`);
      }
      return { contents: trimmed(glue), loader: "js" };
    });
  },
};
