// Networks of a few hundred bytes, with answers that can be worked out by hand.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = new URL("../data/models/", import.meta.url);

interface Entry {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Manifest entry of a fixture model, and its bytes. `mask-quarters` gives vocals a quarter of the mix and the rest to instrumental. */
export function fixtureModel(name: string): { manifest: Record<string, unknown> & Entry; bytes: ArrayBuffer } {
  const document = JSON.parse(readFileSync(fileURLToPath(new URL("manifest.json", folder)), "utf8")) as { models: Entry[] };
  const entry = document.models.find((model) => model.name === name);
  if (!entry) throw new Error(`no fixture model ${name}`);
  const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL(entry.file, folder)))).buffer;
  return { manifest: { ...entry }, bytes };
}
