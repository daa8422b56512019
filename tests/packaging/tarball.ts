// The package as npm would publish it, unpacked where a consumer would have it.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = new URL("../..", import.meta.url).pathname;

/** Packs the package into a fresh folder and gives the path of the tarball. */
export function pack(): string {
  const folder = mkdtempSync(join(tmpdir(), "otolith-pack-"));
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: root, stdio: "pipe" });
  const [name] = readdirSync(folder);
  if (!name) throw new Error("npm pack has made no file");
  return join(folder, name);
}

/** A copy of a consumer of pkg-config/consumers with the tarball's content installed; its folder. */
export function installInto(consumer: string, tarball: string): string {
  const folder = mkdtempSync(join(tmpdir(), `otolith-${consumer}-`));
  const consumers = join(root, "pkg-config/consumers");
  cpSync(join(consumers, consumer), folder, { recursive: true });
  cpSync(join(consumers, "listen.js"), join(folder, "listen.js"));
  const home = join(folder, "node_modules/otolith");
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", home, "--strip-components", "1"]);
  return folder;
}
