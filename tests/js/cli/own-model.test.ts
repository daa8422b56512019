// The guide's manifests, as a stranger would use them: copied out, laid beside an ONNX file, given to the command line.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { otolith, root, scratch } from "./otolith.js";
import { readWav, writeWav } from "./sounds.js";

const guide = readFileSync(join(root, "docs/guide/separation.md"), "utf8");
const blocks = [...guide.matchAll(/```json\n([^`]*)```/g)].map(([, text = ""]) => ({
  text,
  entry: JSON.parse(text) as { name: string; file: string },
}));
/** Networks of a quarter of their input, of the kinds that the guide shows. */
const networks: Readonly<Record<string, string>> = { demucs: "waveform-quarters-1.0.0.onnx", mdx: "mdx-quarter-1.0.0.onnx" };

test("the guide shows a manifest of each foreign kind", () => {
  expect(blocks.map(({ entry }) => entry.name)).toEqual(Object.keys(networks));
});

test.each(blocks)("the guide's manifest $entry.name separates from the command line", ({ text, entry }) => {
  const folder = scratch();
  writeFileSync(join(folder, `${entry.name}.json`), text);
  copyFileSync(join(root, "tests/data/models", networks[entry.name] ?? ""), join(folder, entry.file));
  const rate = 44_100;
  // Slow swells of a low tone: the MDX network does not see the highest bins.
  const tone = Float32Array.from(
    { length: 13 * rate },
    (_, n) => 0.5 * Math.sin((2 * Math.PI * 220 * n) / rate) * Math.sin((Math.PI * n) / (13 * rate)) ** 2,
  );
  const song = writeWav(join(folder, "song.wav"), [tone, tone.map((x) => -0.5 * x)], rate);
  const { status, documents, stderr } = otolith(
    "separate",
    song,
    "--model",
    join(folder, `${entry.name}.json`),
    "--out",
    join(folder, "stems"),
    "--json",
  );
  expect(status, stderr).toBe(0);
  expect(documents[0]).toMatchObject({
    duration: 13,
    stems: { vocals: expect.any(String), instrumental: expect.any(String) },
    model: { name: entry.name },
  });
  const [left] = readWav(readFileSync(documents[0].stems.vocals)).channels;
  const error = (left ?? new Float32Array()).reduce(
    (peak, sample, n) => Math.max(peak, Math.abs(sample - 0.25 * (tone[n] ?? Number.NaN))),
    0,
  );
  // Vocals lose what lies below 30 Hz, which is nothing here but the tone's own swell.
  expect(error).toBeLessThan(2e-3);
});
