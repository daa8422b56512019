// From www/ to www/dist/: the page, built by Vite on the package's own dist/.
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { must } from "./child.mjs";
import { root, toolsDir } from "./paths.mjs";
import { digest, filesUnder } from "./stamp.mjs";

const www = join(root, "www");
const built = join(www, "dist");

export const playgroundOutputs = [join(built, "index.html")];
export const hasPlayground = () => existsSync(join(www, "index.html"));

/** Digest of the page's sources and of the package it uses. */
export const playgroundDigest = (dist) => {
  const sources = filesUnder(www, (path) => path === built).map((file) => file.slice(root.length + 1));
  return digest([...sources, "package-lock.json", "pkg-config/csp.json"], dist);
};

/** Builds beside and renames, as everything does. */
export async function buildPlayground({ verbose }) {
  const next = join(toolsDir, `playground.${process.pid}`);
  const vite = join(root, "node_modules/vite/bin/vite.js");
  await must(process.execPath, [vite, "build", www, "--outDir", next, "--emptyOutDir"], { verbose, log: "vite" });
  rmSync(built, { recursive: true, force: true });
  renameSync(next, built);
}
