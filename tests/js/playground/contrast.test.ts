import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const css = readFileSync(new URL("../../../www/style/tokens.css", import.meta.url), "utf8");
const colours = new Map(
  Array.from(css.matchAll(/--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);/gi), ([, name = "", light = "", dark = ""]) => [
    name,
    { light, dark },
  ]),
);

/** Relative luminance of WCAG 2.2. */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

function colour(name: string, scheme: "light" | "dark"): string {
  const pair = colours.get(name);
  if (!pair) throw new Error(`tokens.css has no --${name}`);
  return pair[scheme];
}

test("the measure gives 21 for black on white and 4.54 for #767676 on white, as WCAG's examples do", () => {
  expect(contrast("#000000", "#FFFFFF")).toBeCloseTo(21, 5);
  expect(contrast("#767676", "#FFFFFF")).toBeCloseTo(4.54, 2);
});

const stems = ["vocals", "drums", "bass", "instruments", "fx"].map((stem) => `stem-${stem}`);
const bounds: [string, number][] = [
  ...["text", "muted", "accent", "danger", ...stems].map((name): [string, number] => [name, 4.5]),
  ["rule", 3],
];

test.each(["light", "dark"] as const)("every colour of the %s page can be told from background and surface", (scheme) => {
  for (const [name, least] of bounds) {
    for (const ground of ["background", "surface"]) {
      const ratio = contrast(colour(name, scheme), colour(ground, scheme));
      expect(ratio, `--${name} on --${ground}`).toBeGreaterThanOrEqual(least);
    }
  }
});

test("only the tokens set colours", () => {
  for (const file of ["base.css", "studio.css"]) {
    const text = readFileSync(new URL(`../../../www/style/${file}`, import.meta.url), "utf8");
    expect(text.match(/#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(/gi), file).toBeNull();
  }
});
