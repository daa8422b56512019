// A vitest reporter that writes what npm test sums: one entry a test, a file that could not be loaded and an error outside of any
// test as failures of their own, and for each skip its reason.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { root } from "./paths.mjs";

export default class NpmTestReporter {
  onTestRunEnd(modules, unhandled) {
    const cases = [];
    const text = (errors) => errors.map((error) => error.stack ?? error.message ?? String(error)).join("\n");
    for (const module of modules) {
      const file = relative(root, module.moduleId);
      const broken = module.errors();
      if (broken.length > 0) cases.push({ file, name: `${file}: could not be run`, status: "failed", message: text(broken) });
      for (const test of module.children.allTests()) {
        const { state, errors, note } = test.result();
        const status = state === "pending" ? "skipped" : state;
        cases.push({
          file,
          test: test.fullName,
          name: `${file} > ${test.fullName}`,
          status,
          message: errors?.length ? text(errors) : undefined,
          reason: note,
        });
      }
      for (const suite of module.children.allSuites()) {
        const errors = suite.errors();
        if (errors.length > 0)
          cases.push({ file, name: `${file} > ${suite.fullName}: its hooks failed`, status: "failed", message: text(errors) });
      }
    }
    for (const error of unhandled) cases.push({ name: "an error outside of any test", status: "failed", message: text([error]) });
    const report = process.env.OTOLITH_VITEST_REPORT;
    mkdirSync(dirname(report), { recursive: true });
    writeFileSync(report, JSON.stringify(cases));
  }
}
