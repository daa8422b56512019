// Set-up: everything between a clone and a dist/ that works. It uses Node's built-ins only, because nothing is installed yet, and
// starts no child process when nothing has changed.
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { buildDist, distDigest, distOutputs } from "./build-dist.mjs";
import { buildPlayground, hasPlayground, playgroundDigest, playgroundOutputs } from "./build-playground.mjs";
import { buildWasm, variants, wasmDigest, wasmOutputs } from "./build-wasm.mjs";
import { must } from "./child.mjs";
import { SetupFailure } from "./failure.mjs";
import { takeLock } from "./lock.mjs";
import { root, toolsDir, wasmDir } from "./paths.mjs";
import { digest } from "./stamp.mjs";
import { step } from "./step.mjs";
import { chooseToolchain } from "./toolchain.mjs";
import { hasWasmBindgen, installWasmBindgen } from "./wasm-bindgen.mjs";

const minimumNode = 20;
const neededDisk = 6e9;

function checkMachine() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < minimumNode)
    throw new SetupFailure(`Node >= ${minimumNode} is needed, found ${process.versions.node}: install a newer one`, { status: 2 });
  if (existsSync(wasmDir)) return; // the room has been taken by an earlier run
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < neededDisk)
    throw new SetupFailure(`6 GB of free disk are needed for the first build, found ${((bavail * bsize) / 1e9).toFixed(1)} GB at ${root}`, {
      status: 2,
    });
}

/** What a killed run has left beside the real folders. */
function sweep() {
  for (const [folder, pattern] of [
    [toolsDir, /^(dist|dist\.old|playground)\.\d+$/],
    [wasmDir, /^\w+\.\d+$/],
  ]) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder)) if (pattern.test(name)) rmSync(join(folder, name), { recursive: true });
  }
}

const npmDigest = () => digest(["package-lock.json"], process.versions.node.split(".")[0]);

async function installPackages({ verbose }) {
  await must("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { verbose, log: "npm-ci" });
}

/**
 * Sets up and builds.
 * @param {object} options
 * @param {boolean} options.verbose pass the output of every tool through
 * @param {boolean} options.allowSystem install missing Debian packages where that is possible
 * @param {boolean} [options.quick] build wasm for try-outs
 * @param {(keyof typeof variants)[]} [options.only] build just these wasm files and nothing after them
 * @param {(line: string) => void} options.say where the lines go
 * @returns {Promise<{ toolchain: object, release: () => void }>} the toolchain chosen, and the lock to give back
 */
export async function setUp({ verbose, allowSystem, quick = false, only, say }) {
  checkMachine();
  mkdirSync(toolsDir, { recursive: true });
  const release = await takeLock(say);
  try {
    sweep();
    if (!only)
      await step(
        {
          name: "npm packages",
          reason: "bundler, type checker and test runners",
          expected: "1 min",
          digest: npmDigest,
          outputs: [join(root, "node_modules/.package-lock.json")],
          work: () => installPackages({ verbose }),
        },
        say,
      );
    const toolchain = await chooseToolchain({ allowSystem, say, verbose });
    if (!hasWasmBindgen())
      await step(
        {
          name: "wasm-bindgen CLI",
          reason: "makes the JavaScript glue, in the version of Cargo.lock",
          expected: "3 min",
          work: () => installWasmBindgen({ toolchain, verbose, say }),
        },
        say,
      );
    for (const variant of only ?? Object.keys(variants))
      await step(
        {
          name: `${variant}.wasm`,
          reason: variants[variant].reason,
          expected: quick ? "1 min" : variants[variant].expected,
          digest: () => wasmDigest(variant, { toolchain, quick }),
          outputs: wasmOutputs(variant),
          work: () => buildWasm(variant, { toolchain, quick, verbose }),
        },
        say,
      );
    if (!only) {
      const wasm = Object.keys(variants).map((variant) => wasmDigest(variant, { toolchain, quick }));
      await step(
        {
          name: "dist",
          reason: "the package: scripts, declarations, wasm, models",
          expected: "10 s",
          digest: () => distDigest(wasm),
          outputs: distOutputs,
          work: () => buildDist({ verbose }),
        },
        say,
      );
      if (hasPlayground())
        await step(
          {
            name: "playground",
            reason: "the page that npm start serves",
            expected: "5 s",
            digest: () => playgroundDigest(distDigest(wasm)),
            outputs: playgroundOutputs,
            work: () => buildPlayground({ verbose }),
          },
          say,
        );
    }
    return { toolchain, release };
  } catch (error) {
    release();
    throw error;
  }
}
