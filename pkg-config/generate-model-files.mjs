// Writes js/model-files.ts from models/manifest.json: each file named as a literal, since bundlers follow nothing else.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./paths.mjs";

/** Writes the file if its content would change, so that nothing downstream is rebuilt for nothing. */
export function generateModelFiles() {
  const path = join(root, "models/manifest.json");
  const manifest = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : { schema: 1, models: [] };
  const filesOf = ({ file, files }) => (file === undefined ? files.map((one) => one.file) : [file]);
  const files = manifest.models.flatMap((model) => [model, ...(model.previous ?? [])].flatMap(filesOf));
  const cases = files.map(
    (file) => `    case ${JSON.stringify(file)}:\n      return new URL(${JSON.stringify(`./models/${file}`)}, import.meta.url);\n`,
  );
  // Where a model comes from is for readers of models/manifest.json: no page asks for it, and every page would fetch it.
  const embedded = { ...manifest, models: manifest.models.map(({ provenance, ...model }) => model) };
  const text = `// Made by pkg-config/generate-model-files.mjs from models/manifest.json.

/** The manifest of the models in this package. @internal */
export const manifestJson = ${JSON.stringify(JSON.stringify(embedded))};

/** Where a model file of this package lies; undefined for any other name. @internal */
export function modelFile(file: string): URL | undefined {
  switch (file) {
${cases.join("")}    default:
      return undefined;
  }
}
`;
  const target = join(root, "js/model-files.ts");
  if (!existsSync(target) || readFileSync(target, "utf8") !== text) writeFileSync(target, text);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) generateModelFiles();
