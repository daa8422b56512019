// Bad input on the command line: each kind has its exit status, its code in JSON and a sentence that says what to do.
import { closeSync, copyFileSync, ftruncateSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fixtureModel, otolith, root, scratch } from "./otolith.js";
import { noise, tune, writeClaim, writeWav } from "./sounds.js";

const folder = scratch();
const at = (name: string) => join(folder, name);
const file = (name: string, content: string | Uint8Array) => {
  writeFileSync(at(name), content);
  return at(name);
};
const example = readFileSync(join(root, "www/public/example-2.flac"));

/** One second with a value that is no number. */
function withNaN(): Float32Array {
  const samples = noise(1, 44100, 1);
  samples[1234] = Number.NaN;
  return samples;
}

describe("sound files that cannot be used have status 3", () => {
  test.each([
    ["an empty file", () => file("empty.wav", ""), "invalid-input"],
    ["a web page", () => file("page.mp3", "<!doctype html><title>Not found</title>".repeat(50)), "unsupported-format"],
    [
      "random bytes",
      () =>
        file(
          "garbage.flac",
          Uint8Array.from(noise(0.2, 44100, 9), (value) => value * 1e4),
        ),
      "unsupported-format",
    ],
    ["a header and nothing else", () => file("header.flac", example.subarray(0, 60)), "unsupported-format"],
    ["a missing file", () => at("absent.wav"), "invalid-input"],
    ["a folder", () => scratch(), "invalid-input"],
    ["a sample that is no number", () => writeWav(at("nan.wav"), [withNaN()], 44100), "invalid-input"],
    [
      "nine channels",
      () =>
        writeWav(
          at("nine.wav"),
          Array.from({ length: 9 }, (_, n) => noise(1, 44100, n + 1)),
          44100,
        ),
      "invalid-input",
    ],
    ["a sample rate of 4 kHz", () => writeWav(at("slow.wav"), [noise(1, 4000, 1)], 4000), "invalid-input"],
    ["a sample rate of 384 kHz", () => writeWav(at("fast.wav"), [noise(1, 384000, 1)], 384000), "invalid-input"],
  ])("%s", (_, make, code) => {
    const path = make();
    const { status, documents, stderr } = otolith("beats", path, "--json");
    expect(documents, stderr).toEqual([{ file: path, error: { code, message: expect.any(String) } }]);
    expect(status).toBe(3);
    expect(stderr).toContain(documents[0].error.message);
    expect(stderr, "no stack trace").not.toContain("    at ");
  });

  test.each([["beats"], ["fingerprint"], ["separate"]])("a file of one sample is an error or a result to %s, never a crash", (command) => {
    const path = writeWav(at("one.wav"), [new Float32Array(1)], 44100);
    const more = command === "beats" ? [] : ["--out", at(`one-${command}`)];
    const model = command === "separate" ? ["--model", fixtureModel("mask-quarters").manifest] : [];
    const { status, documents, stderr } = otolith(command, path, ...more, ...model, "--json");
    expect([0, 3], stderr).toContain(status);
    expect(documents).toHaveLength(1);
    if (status === 3) expect(["too-short", "invalid-input", "unsupported-format"]).toContain(documents[0].error.code);
  });

  test("a file cut in the middle gives what is left of it, or says that it is damaged", () => {
    const cut = file("cut.flac", example.subarray(0, Math.floor(example.length / 2)));
    const { status, documents, stderr } = otolith("beats", cut, "--json");
    expect([0, 3], stderr).toContain(status);
    if (status === 3) expect(documents[0].error.code).toBe("unsupported-format");
    else expect(documents[0].beats.at(-1)).toBeLessThan(15);
  });

  test("a wrong extension does not matter: the bytes decide", () => {
    const path = at("really-flac.mp3");
    copyFileSync(join(root, "www/public/example-2.flac"), path);
    const { status, stderr } = otolith("beats", path, "--json");
    expect(status, stderr).toBe(0);
  });
});

describe("sound beyond the limits has status 4", () => {
  test.each([
    ["a file that claims a day of sound", 8000, 24 * 3600 * 8000, 0],
    // 4 GiB, the most a WAV file can claim; a sparse file, so it costs no disk.
    ["a file of more bytes than are read", 48000, 1, 2 ** 32 - 1],
  ])("%s", (_, sampleRate, frames, length) => {
    const path = writeClaim(at(`long-${frames}.wav`), sampleRate, frames);
    if (length > 0) {
      const handle = openSync(path, "r+");
      ftruncateSync(handle, length);
      closeSync(handle);
    }
    const { status, documents, stderr } = otolith("beats", path, "--json");
    expect(documents[0]?.error?.code, stderr).toBe("limit");
    expect(status).toBe(4);
  });
});

describe("fingerprint and catalogue files that cannot be used have status 3", () => {
  const enrolled = () => {
    const catalog = join(scratch(), "good.catalog");
    const song = writeWav(at("song.wav"), [tune(6, 22050, 4)], 22050);
    expect(otolith("enrol", catalog, song).status).toBe(0);
    return { catalog, song };
  };

  test("missing, empty and foreign catalogues", () => {
    const { song } = enrolled();
    const foreign = scratch();
    writeFileSync(join(foreign, "notes.txt"), "not a catalogue");
    for (const path of [at("absent.catalog"), file("empty.catalog", ""), foreign]) {
      const { status, stdout, stderr } = otolith("match", path, song);
      expect([path, status, stdout], stderr).toEqual([path, 3, ""]);
      expect(stderr).not.toContain("    at ");
      const inspected = otolith("inspect", path, "--json");
      expect([path, inspected.status], inspected.stderr).toEqual([path, 3]);
    }
  });

  test("an enrolment into a file or a folder of other files leaves it as it is", () => {
    const { song } = enrolled();
    const path = file("file.catalog", "a file");
    expect(otolith("enrol", path, song).status).toBe(3);
    expect(readFileSync(path, "utf8")).toBe("a file");
    const folder = scratch();
    writeFileSync(join(folder, "notes.txt"), "not a catalogue");
    expect(otolith("enrol", folder, song).status).toBe(3);
    expect(readdirSync(folder)).toEqual(["notes.txt"]);
  });

  test("a damaged catalogue has status 1 and names file and byte; what is whole of a cut one is used", () => {
    const { catalog, song } = enrolled();
    const log = join(catalog, "log-1");
    const bytes = readFileSync(log);
    writeFileSync(log, bytes.subarray(0, bytes.length - 7));
    const cut = otolith("inspect", catalog, "--json");
    expect([cut.status, cut.documents[0].tracks, cut.documents[0].recovered.droppedBytes > 0], cut.stderr).toEqual([0, 0, true]);
    bytes[8] = (bytes[8] ?? 0) ^ 0x10;
    writeFileSync(log, bytes);
    const { status, stdout, stderr } = otolith("match", catalog, song);
    expect([status, stdout], stderr).toEqual([1, ""]);
    expect(stderr).toMatch(/log-1, byte/);
    expect(stderr).not.toContain("    at ");
  });
});

describe("models that cannot be used have status 5", () => {
  const song = () => writeWav(at("short.wav"), [noise(2, 44100, 2)], 44100);
  const separate = (manifest: string) => otolith("separate", song(), "--out", at("stems"), "--model", manifest, "--json");

  test("one bit of the model altered", () => {
    const { manifest, file: path } = fixtureModel("mask-quarters");
    const bytes = readFileSync(path);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const { status, documents, stderr } = separate(manifest);
    expect(documents[0]?.error?.code, stderr).toBe("model-integrity");
    expect(status).toBe(5);
  });

  test.each([
    ["a cut model file", (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 100))],
    ["an empty model file", (path: string) => writeFileSync(path, "")],
  ])("%s", (_, spoil) => {
    const { manifest, file: path } = fixtureModel("mask-quarters");
    spoil(path);
    const { status, documents } = separate(manifest);
    expect(["model-load", "model-integrity"]).toContain(documents[0].error.code);
    expect(status).toBe(5);
  });

  test.each(["wrong-bins", "wrong-stems", "wrong-rank", "wrong-outputs"])("the network %s, which breaks its contract", (name) => {
    const { status, documents, stderr } = separate(fixtureModel(name).manifest);
    expect(documents[0]?.error?.code, stderr).toBe("model-load");
    expect(status).toBe(5);
  });

  test.each([
    ["is missing", () => at("absent.json")],
    ["is no JSON", () => file("broken.json", "{ models")],
    ["names a file that is not there", () => file("lonely.json", readFileSync(fixtureModel("mask-quarters").manifest))],
    ["has no separator of that many stems", () => file("none.json", '{ "schema": 1, "models": [] }')],
  ])("a manifest that %s", (_, make) => {
    const { status, stdout, stderr } = separate(make());
    expect([status, stdout], stderr).toEqual([5, ""]);
    expect(stderr).not.toContain("    at ");
  });

  test("models verify finds an altered and a missing file", () => {
    const { manifest, file: path } = fixtureModel("mask-quarters");
    const dir = join(manifest, "..");
    expect(otolith("models", "verify", "--dir", dir).status).toBe(0);
    const bytes = readFileSync(path);
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const { status, documents, stderr } = otolith("models", "verify", "--dir", dir, "--json");
    expect(status).toBe(5);
    expect(documents[0].ok).toBe(false);
    expect(stderr).toContain("SHA-256");
    expect(otolith("models", "verify", "--dir", scratch()).status).toBe(5);
  });
});

test("an output that cannot be written is bad input, and no partial file stays", () => {
  const song = writeWav(at("song2.wav"), [tune(4, 22050, 4)], 22050);
  const blocked = file("blocked", "a file where a folder is needed");
  const { status, stderr } = otolith("fingerprint", song, "--out", join(blocked, "x.print"));
  expect(status).toBe(3);
  expect(stderr).toContain("cannot be written");
});
