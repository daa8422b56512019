// `npm run build -- [--quick] [--only core|neural] [--verbose] [--no-system]`: set-up and build, nothing else.
import { readArguments } from "./arguments.mjs";
import { variants } from "./build-wasm.mjs";
import { report, SetupFailure } from "./failure.mjs";
import { setUp } from "./setup.mjs";

try {
  const { values } = readArguments({
    options: {
      quick: { type: "boolean" },
      only: { type: "string", multiple: true },
      verbose: { type: "boolean" },
      "no-system": { type: "boolean" },
    },
  });
  for (const name of values.only ?? [])
    if (!(name in variants)) throw new SetupFailure(`--only takes ${Object.keys(variants).join(" or ")}, got ${name}`, { status: 2 });
  const { release } = await setUp({
    verbose: values.verbose ?? false,
    allowSystem: !values["no-system"],
    quick: values.quick,
    only: values.only,
    say: (line) => console.error(line),
  });
  release();
} catch (error) {
  process.exitCode = report(error);
}
