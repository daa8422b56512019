import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { clicks, declaredDay, tune, wavOf } from "../../pages/sounds.js";

const site = playground();

test("a file can be chosen or dropped, and another replaces it", async () => {
  const studio = await site.visit();
  await studio.giveFile(clicks("One hundred and twenty.wav", 10, 120));
  await studio.waitForTitle("One hundred and twenty");
  await studio.waitForBeats();
  expect(await studio.page.getByText("0:10.0 · 44.1 kHz · mono").isVisible()).toBe(true);
  await studio.dropFile(tune("Another.wav", 4, 7));
  await studio.waitForTitle("Another");
  expect(await studio.page.getByText("0:04.0 · 44.1 kHz · mono").isVisible()).toBe(true);
  await studio.close();
});

test("a file's name is shown as text, whatever it holds", async () => {
  const studio = await site.visit();
  const name = "<img src=x onerror=alert(1)>";
  await studio.giveFile({ ...tune("x", 2, 3), name: `${name}.wav` });
  await studio.waitForTitle(name);
  expect(await studio.page.locator("h1 img").count()).toBe(0);
  await studio.close();
});

const text = { name: "letter.mp3", mimeType: "audio/mpeg", buffer: Buffer.from("Dear reader, this is no music. ".repeat(200)) };
const empty = { name: "empty.wav", mimeType: "audio/wav", buffer: Buffer.alloc(0) };

test.each([
  ["an empty file", empty, /empty|no samples|0 bytes/i, "invalid-input"],
  ["a text called .mp3", text, /./, "unsupported-format"],
  ["a sound declared to last a day", declaredDay(), /duration|size|limit/i, "limit"],
])("%s is refused with its reason and its code, and the open song stays", async (_, file, reason, code) => {
  const studio = await site.visit();
  await studio.giveFile(tune("Good.wav", 3, 11));
  await studio.waitForTitle("Good");
  await studio.giveFile(file);
  await studio.alert().waitFor();
  const alert = (await studio.alert().textContent()) ?? "";
  expect(alert).toMatch(reason);
  expect(alert).toContain(code);
  expect(await studio.title().textContent()).toBe("Good");
  await studio.button("Dismiss").click();
  await studio.alert().waitFor({ state: "detached" });
  await studio.giveFile(tune("Next.wav", 3, 12));
  await studio.waitForTitle("Next");
  expect(studio.errors).toEqual([]);
  await studio.close();
});

test("a sound too short for beats says so and can still be played", async () => {
  const studio = await site.visit();
  await studio.giveFile(wavOf("Blip.wav", 0.4, (time) => Math.sin(2 * Math.PI * 440 * time)));
  await studio.waitForTitle("Blip");
  await studio.alert().waitFor();
  expect(await studio.alert().textContent()).toContain("too-short");
  await studio.play();
  await studio.close();
});

test("a worker that dies is told as crashed, and running again works", async () => {
  const studio = await site.visit();
  await studio.panicDuring("beats", "injected fault");
  await studio.giveFile(tune("Tune.wav", 60, 5));
  await studio.alert().waitFor();
  const alert = (await studio.alert().textContent()) ?? "";
  expect(alert).toContain("crashed");
  expect(alert).toContain("injected fault");
  await studio.button("Run again").click();
  await studio.alert().waitFor({ state: "detached" });
  await studio.waitForTitle("Tune");
  await studio.close();
});
