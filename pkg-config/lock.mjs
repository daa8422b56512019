// Two runs at once: the second waits for the first, and says so.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { toolsDir } from "./paths.mjs";

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
};

/**
 * Takes the set-up lock, waiting for its present holder. A lock whose holder is dead is taken over.
 * @returns {Promise<() => void>} gives the lock back; it is also given back when the process ends
 */
export async function takeLock(say, file = join(toolsDir, "setup.lock")) {
  mkdirSync(toolsDir, { recursive: true });
  for (let told = false; ; ) {
    try {
      const handle = openSync(file, "wx");
      writeSync(handle, String(process.pid));
      closeSync(handle);
      const release = () => {
        process.off("exit", release);
        rmSync(file, { force: true });
      };
      process.on("exit", release);
      return release;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    let holder = Number.NaN;
    try {
      holder = Number.parseInt(readFileSync(file, "utf8"), 10);
    } catch (error) {
      if (error.code === "ENOENT") continue; // given back in between
      throw error;
    }
    if (Number.isInteger(holder) && !isAlive(holder)) {
      rmSync(file, { force: true });
      continue;
    }
    if (!told) say(`another set-up (process ${holder}) is at work in this folder: waiting for it`);
    told = true;
    await sleep(200);
  }
}
