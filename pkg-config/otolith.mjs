// `npm run -s otolith -- ...`: the command line of this repository. Set-up speaks on standard error, so that standard output is
// the command's alone.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { report } from "./failure.mjs";
import { dist } from "./paths.mjs";
import { setUp } from "./setup.mjs";

try {
  const { release } = await setUp({ verbose: false, allowSystem: true, say: (line) => console.error(line) });
  release();
  const child = spawn(process.execPath, [join(dist, "cli.js"), ...process.argv.slice(2)], { stdio: "inherit" });
  // Ctrl-C reaches the child by itself, being of the same terminal; waiting here lets it tidy up before the prompt returns.
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", () => {});
  process.removeAllListeners("SIGTERM");
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("close", (status, signal) => {
    process.exitCode = signal ? 1 : status;
  });
} catch (error) {
  process.exitCode = report(error);
}
