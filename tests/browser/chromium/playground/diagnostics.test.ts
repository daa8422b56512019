import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";

const site = playground();

test("diagnostics tell what the browser offers, and the report can be copied", async () => {
  const studio = await site.visit({ permissions: ["clipboard-read", "clipboard-write"] });
  await studio.page.getByText("Diagnostics").click();
  const panel = studio.page.locator("diagnostics-panel");
  await panel.getByText("Simd", { exact: true }).waitFor();
  await studio.button("Copy report").click();
  await studio.button("Copied").waitFor();
  const report = await studio.page.evaluate(() => navigator.clipboard.readText());
  expect(report).toContain("Simd: yes");
  expect(report).toContain("Cross origin isolated: no");
  await studio.close();
});

test("the choice of colours is kept over a reload", async () => {
  const studio = await site.visit({ colorScheme: "light" });
  const ground = () => studio.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await studio.button("Try the example").waitFor();
  expect(await ground()).toBe("rgb(250, 249, 246)");
  await studio.page.getByLabel("Colours").selectOption("dark");
  expect(await ground()).toBe("rgb(23, 22, 20)");
  await studio.page.reload();
  await studio.button("Try the example").waitFor();
  expect(await ground()).toBe("rgb(23, 22, 20)");
  await studio.close();
});
