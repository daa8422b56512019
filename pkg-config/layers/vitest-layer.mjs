// A layer whose runner is vitest: one configuration, one report.
import { join } from "node:path";
import { run } from "../child.mjs";
import { root, toolsDir } from "../paths.mjs";
import { readVitest } from "../reports.mjs";

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const pattern = (name) => `^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;

/**
 * @param {string} config configuration file, relative to the repository
 * @param {string} runner name shown when the runner itself fails
 * @returns {import("../run-layers.mjs").Layer["run"]}
 */
export const runVitest =
  (config, runner) =>
  async ({ filter, verbose, limitMs }) => {
    const report = join(toolsDir, "reports", `${runner}.json`);
    const args = [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      config,
      "--reporter",
      "./pkg-config/vitest-report.mjs",
      "--reporter",
      "default",
    ];
    const result = await run(process.execPath, [...args, ...(filter ? ["--passWithNoTests", filter] : [])], {
      env: { OTOLITH_VITEST_REPORT: report, FORCE_COLOR: "0", CI: "1" },
      log: `test-${runner}`,
      verbose,
      timeoutMs: limitMs,
    });
    const cases = readVitest(report, ({ file, test }) =>
      [`npx vitest run --config ${config}`, file, test && `-t ${quote(pattern(test))}`].filter(Boolean).join(" "),
    );
    const end = {
      runner,
      status: result.status,
      timedOut: result.timedOut,
      log: result.log,
      tail: result.output.split("\n").slice(-30).join("\n"),
    };
    return { cases, ends: [end] };
  };
