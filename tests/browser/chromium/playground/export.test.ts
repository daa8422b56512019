import { expect, test } from "vitest";
import { playground } from "../../pages/playground.js";
import { tune } from "../../pages/sounds.js";

const site = playground();

test.each([
  ["16 bit", 1, 16],
  ["24 bit", 1, 24],
  ["32 bit float", 3, 32],
])("all tracks are saved as %s WAV", async (label, tag, bits) => {
  const studio = await site.visit();
  await studio.giveFile(tune("Tune.wav", 3, 21));
  await studio.waitForTitle("Tune");
  await studio.separate();
  await studio.waitForStems();
  await studio.page.getByLabel("Sample format").selectOption({ label });
  const { name, bytes } = await studio.save("All tracks as WAV");
  expect(name).toBe("Tune vocals.wav");
  const at = bytes.indexOf("fmt ", 0, "latin1") + 8;
  // 24 bit may be written as WAVE_FORMAT_EXTENSIBLE, whose own tag comes 24 bytes later.
  const format = bytes.readUInt16LE(at) === 0xfffe ? bytes.readUInt16LE(at + 24) : bytes.readUInt16LE(at);
  expect(format).toBe(tag);
  expect(bytes.readUInt16LE(at + 14)).toBe(bits);
  await studio.close();
});
