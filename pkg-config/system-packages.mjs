// Debian packages that set-up or a test layer needs. They are installed only with root rights and apt-get, only after saying so,
// and never under --no-system.
import { run } from "./child.mjs";

/** Whether this process may install system packages at all. */
export const canInstall = () => process.platform === "linux" && process.getuid?.() === 0;

/**
 * Installs `packages`.
 * @param {string[]} packages
 * @param {{ allowSystem: boolean, say: (line: string) => void, verbose: boolean, reason: string }} options
 * @returns {Promise<boolean>} false where it is forbidden, not possible, or failed
 */
export async function installPackages(packages, { allowSystem, say, verbose, reason }) {
  if (!allowSystem || !canInstall()) return false;
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const wait = ["-o", "DPkg::Lock::Timeout=300"];
  if ((await run("apt-get", ["--version"])).status !== 0) return false;
  say(`installing Debian packages ${reason}: ${packages.join(" ")} (about 1 min; --no-system forbids this)`);
  const install = () =>
    run("apt-get", [...wait, "install", "-y", "--no-install-recommends", ...packages], {
      env,
      log: "apt-get",
      verbose,
      timeoutMs: 900_000,
    });
  let result = await install();
  if (result.status !== 0) {
    // A fresh image has no package lists yet.
    await run("apt-get", [...wait, "update"], { env, log: "apt-get-update", verbose, timeoutMs: 300_000 });
    result = await install();
  }
  if (result.status !== 0) say(`apt-get could not install them: see ${result.log}`);
  return result.status === 0;
}
