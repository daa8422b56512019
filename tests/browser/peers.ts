// onnxruntime-web, which is 140 MB and no dependency of the package: fetched once, for the tests of the graphics processor.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const peers = fileURLToPath(new URL("../../benches/peers/", import.meta.url));

/** Installs it where that has not been done. Without a network those tests are skipped, with the reason. */
export default function setup(): void {
  if (existsSync(`${peers}node_modules/onnxruntime-web`)) return;
  try {
    execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: peers, stdio: "ignore" });
  } catch {
    // The tests say what is missing.
  }
}
