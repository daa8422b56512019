// Which browsers this machine has. Debian's packages are what the tests are written against; where they are missing and may be
// installed, they are.
import { installPackages } from "./system-packages.mjs";
import { onPath } from "./toolchain.mjs";

export const programs = {
  chromium: { names: ["chromium", "chromium-browser", "google-chrome"], packages: ["chromium"] },
  chromedriver: { names: ["chromedriver"], packages: ["chromium-driver"] },
  firefox: { names: ["firefox-esr", "firefox"], packages: ["firefox-esr"] },
};

/** Path of a browser program, or undefined. */
export const findProgram = (kind) => programs[kind].names.flatMap((name) => onPath(name))[0];

/**
 * Makes sure that `kinds` are there.
 * @returns {Promise<string | undefined>} the reason why a layer that needs them cannot run
 */
export async function needPrograms(kinds, { allowSystem, say, verbose }) {
  const missing = () => kinds.filter((kind) => !findProgram(kind));
  if (missing().length === 0) return undefined;
  const packages = missing().flatMap((kind) => programs[kind].packages);
  await installPackages(packages, { allowSystem, say, verbose, reason: "to test in a real browser" });
  const still = missing();
  if (still.length === 0) return undefined;
  return `${still.join(" and ")} not found: apt install ${still.flatMap((kind) => programs[kind].packages).join(" ")}`;
}
