// From js/, the wasm files and the models to dist/: what the package ships. Written beside and renamed, so that a killed run
// leaves the old folder or the new one.
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./child.mjs";
import { dist, root, toolsDir, wasmDir } from "./paths.mjs";
import { digest } from "./stamp.mjs";
import { wasmGlue } from "./wasm-glue.mjs";

export const distInputs = [
  "js",
  "models",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "pkg-config/tsconfig.dist.json",
  "pkg-config/build-dist.mjs",
  "pkg-config/generate-model-files.mjs",
  "pkg-config/wasm-glue.mjs",
];
export const distOutputs = ["index.js", "node.js", "worker.js", "cli.js", "index.d.ts", "core.wasm", "neural.wasm"].map((file) =>
  join(dist, file),
);

/** Digest of all that dist/ is made of; the wasm files count by the digests of their own inputs. */
export const distDigest = (wasmDigests) => digest(distInputs, wasmDigests);

/** esbuild leaves `new URL("./file", import.meta.url)` as it is, which is what every bundler downstream looks for. */
const browser = {
  format: "esm",
  platform: "browser",
  target: "es2022",
  bundle: true,
  charset: "utf8",
  legalComments: "none",
  minifySyntax: true,
  minifyWhitespace: true,
  minifyIdentifiers: true,
};
const node = { format: "esm", platform: "node", target: "node20", bundle: true, charset: "utf8", legalComments: "none" };

/** The command line uses the Node entry as a user would, so that stays a file of its own. */
const nodeEntryStaysOutside = {
  name: "node-entry-stays-outside",
  setup(build) {
    build.onResolve({ filter: /^\.\.\/node\.js$/ }, () => ({ path: "./node.js", external: true }));
  },
};

/** Bundles the TypeScript, emits its declarations and gathers wasm files and models. */
export async function buildDist({ verbose }) {
  const { build } = await import("esbuild");
  const next = join(toolsDir, `dist.${process.pid}`);
  rmSync(next, { recursive: true, force: true });
  mkdirSync(next, { recursive: true });

  const entry = (file) => join(root, "js", file);
  const common = {
    absWorkingDir: root,
    tsconfig: join(root, "tsconfig.json"),
    logLevel: "warning",
    define: { PACKAGE_VERSION: JSON.stringify(packageVersion()) },
  };
  const generator = join(root, "pkg-config/generate-model-files.mjs");
  await must(process.execPath, [generator], { verbose, log: "model-files" });
  const bundle = (settings, source, file, plugins = []) =>
    build({ ...common, ...settings, plugins, entryPoints: [entry(source)], outfile: join(next, file) });
  await Promise.all([
    bundle(browser, "index.ts", "index.js"),
    bundle({ ...browser, platform: "neutral" }, "worker/worker.ts", "worker.js", [wasmGlue]),
    bundle(node, "node.ts", "node.js"),
    bundle({ ...node, banner: { js: "#!/usr/bin/env node" } }, "cli/main.ts", "cli.js", [nodeEntryStaysOutside]),
  ]);
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  await must(process.execPath, [tsc, "-p", "pkg-config/tsconfig.dist.json", "--outDir", next], { verbose, log: "tsc" });
  writeFileSync(join(next, "asset.d.ts"), "/** A script that is named by its URL and never imported. */\nexport {};\n");
  for (const variant of ["core", "neural"]) cpSync(join(wasmDir, variant, `${variant}_bg.wasm`), join(next, `${variant}.wasm`));
  const models = join(root, "models");
  if (existsSync(models)) cpSync(models, join(next, "models"), { recursive: true, filter: (file) => !file.endsWith(".py") });

  const old = join(toolsDir, `dist.old.${process.pid}`);
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(next, dist);
  rmSync(old, { recursive: true, force: true });
}

function packageVersion() {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;
}
