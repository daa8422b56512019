// Every command on sounds whose right answer is known by construction.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fixtureModel, otolith, root, scratch } from "./otolith.js";
import { clicks, noise, readWav, tune, writeWav } from "./sounds.js";

describe("beats", () => {
  test("clicks at 120 BPM give a beat every half second, as JSON and in words", () => {
    const file = writeWav(join(scratch(), "clicks.wav"), [clicks(20, 44100, 120)], 44100);
    const { status, documents, stderr } = otolith("beats", file, "--json");
    expect(status, stderr).toBe(0);
    const [found] = documents;
    expect(Object.keys(found)).toEqual(expect.arrayContaining(["file", "beats", "downbeats", "tempo", "method", "seconds"]));
    // 11.6 ms is the hop of the onset detector; two of them are its resolution.
    expect(Math.abs(found.tempo.bpm - 120)).toBeLessThan(1);
    expect(found.beats.length).toBeGreaterThanOrEqual(37);
    for (const beat of found.beats) expect(Math.abs(((beat - 0.25 + 0.25) % 0.5) - 0.25)).toBeLessThan(0.025);
    const words = otolith("beats", file);
    expect(words.stdout).toMatch(/12\d\.\d BPM|119\.\d BPM/);
    expect(words.stdout.trim().split("\n")).toHaveLength(found.beats.length + 1);
  });

  test("--stream prints the beats as they are heard, and when", () => {
    const file = writeWav(join(scratch(), "stream.wav"), [clicks(12, 44100, 120), clicks(12, 44100, 120)], 44100);
    const { status, documents, stderr } = otolith("beats", file, "--stream", "--json");
    expect(status, stderr).toBe(0);
    const [{ events, latency, method, replaced }] = documents;
    expect([method, replaced]).toEqual(["flux", 0]);
    expect(events.length).toBeGreaterThanOrEqual(16);
    for (const { kind, time, emittedAt } of events) {
      expect(kind).toBe("beat");
      expect(Math.abs((time % 0.5) - 0.25)).toBeLessThan(0.025); // as above
      expect(emittedAt - time).toBeLessThanOrEqual(latency);
    }
    const words = otolith("beats", file, "--stream").stdout.trim().split("\n");
    expect(words).toHaveLength(events.length + 1);
    expect(otolith("beats", file, "--stream", "--click", "x.wav").status).toBe(2);
  });

  test("--click writes the sound with clicks on the beats found", () => {
    const folder = scratch();
    const silentBetween = clicks(10, 44100, 120).map((value) => value * 0.05);
    const file = writeWav(join(folder, "faint.wav"), [silentBetween], 44100);
    const click = join(folder, "click.wav");
    const { status, documents, stderr } = otolith("beats", file, "--click", click, "--json");
    expect(status, stderr).toBe(0);
    const bytes = readFileSync(click);
    expect(bytes.length - 10 * 44100 * 2).toBeLessThan(200); // one channel of 16 bits
    const [beat] = documents[0].beats.slice(2);
    const at = bytes.length - 10 * 44100 * 2 + 2 * Math.round(beat * 44100);
    const level = (from: number) => Math.max(...Array.from({ length: 400 }, (_, n) => Math.abs(bytes.readInt16LE(from + 2 * n))));
    expect(level(at)).toBeGreaterThan(10 * level(at + 2 * 9000)); // a fifth of a second later there is silence
  });

  test("several files: one document each, in order; a bad one does not stop the others and sets the status", () => {
    const folder = scratch();
    const good = writeWav(join(folder, "good.wav"), [clicks(8, 22050, 100)], 22050);
    const { status, documents, stderr } = otolith("beats", join(folder, "absent.wav"), good, "--json");
    expect(status).toBe(3);
    expect(documents.map(({ file, error }) => [file, error?.code])).toEqual([
      [join(folder, "absent.wav"), "invalid-input"],
      [good, undefined],
    ]);
    expect(stderr).toContain("absent.wav");
  });
});

describe("fingerprint, enrol, match, inspect", () => {
  test("a fingerprint file holds what inspect shows of it", () => {
    const folder = scratch();
    const song = writeWav(join(folder, "song.wav"), [tune(12, 22050, 5)], 22050);
    const out = join(folder, "song.print");
    const { status, documents, stderr } = otolith("fingerprint", song, "--out", out, "--json");
    expect(status, stderr).toBe(0);
    expect(documents[0]).toMatchObject({ file: song, algorithm: "wang", out });
    expect(documents[0].duration).toBeCloseTo(12, 2);
    expect(documents[0].hashCount).toBeGreaterThan(50);
    const inspected = otolith("inspect", out, "--json");
    expect(inspected.status, inspected.stderr).toBe(0);
    expect(JSON.stringify(inspected.documents[0])).toContain(String(documents[0].hashCount));
    expect(otolith("inspect", out).stdout).toContain("song.print:");
  });

  test("clips are found in the songs they were cut from, at their place; a stranger is not", () => {
    const folder = scratch();
    const songs = [1, 2, 3].map((seed) => tune(20, 22050, seed));
    const files = songs.map((song, index) => writeWav(join(folder, `song-${index}.wav`), [song], 22050));
    const catalog = join(folder, "catalog.bin");
    const enrolled = otolith("enrol", catalog, ...files, "--json");
    expect(enrolled.status, enrolled.stderr).toBe(0);
    expect(enrolled.documents.map(({ id }) => id)).toEqual(["song-0", "song-1", "song-2"]);
    const from = 7.3;
    const clips = songs.map((song, index) => {
      const clip = song.slice(Math.round(from * 22050), Math.round((from + 5) * 22050));
      return writeWav(join(folder, `clip-${index}.wav`), [clip], 22050);
    });
    const stranger = writeWav(join(folder, "stranger.wav"), [tune(5, 22050, 99)], 22050);
    const { status, documents, stderr } = otolith("match", catalog, ...clips, stranger, "--top", "1", "--json");
    expect(status, stderr).toBe(0);
    documents.slice(0, 3).forEach(({ matches }, index) => {
      expect(matches[0].id).toBe(`song-${index}`);
      expect(Math.abs(matches[0].offset - from)).toBeLessThan(0.05); // a hop of the fingerprint is 46 ms at most
    });
    expect(documents[3].matches).toEqual([]);
    expect(otolith("match", catalog, stranger).stdout).toContain("no match");
  });

  test("a folder is enrolled with all that is below it, many at once, and inspected", () => {
    const folder = scratch();
    const music = join(folder, "music");
    mkdirSync(join(music, "album"), { recursive: true });
    for (const [index, name] of ["b.wav", "a.wav", "album/c.wav"].entries())
      writeWav(join(music, name), [tune(6, 22050, 20 + index)], 22050);
    writeFileSync(join(music, "cover.txt"), "not a sound");
    writeFileSync(join(music, "album", "broken.wav"), "no sound either");
    const catalog = join(folder, "folder.catalog");
    const enrolled = otolith("enrol", catalog, music, "--workers", "2", "--json");
    expect(enrolled.status, enrolled.stderr).toBe(3);
    expect(enrolled.documents.map(({ id, error }) => id ?? error.code)).toEqual(["a", "unsupported-format", "album/c", "b"]);
    const { status, documents } = otolith("inspect", catalog, "--json");
    expect([status, documents[0].tracks, documents[0].storage]).toEqual([0, 3, "folder"]);
  });

  test("a song is enrolled once: again is an error, --replace replaces it", () => {
    const folder = scratch();
    const song = writeWav(join(folder, "song.wav"), [tune(6, 22050, 8)], 22050);
    const catalog = join(folder, "catalog.bin");
    expect(otolith("enrol", catalog, song, "--id", "mine").status).toBe(0);
    const again = otolith("enrol", catalog, song, "--id", "mine");
    expect(again.status).toBe(3);
    expect(again.stderr).toContain("mine");
    expect(otolith("enrol", catalog, song, "--id", "mine", "--replace").status).toBe(0);
    expect(otolith("enrol", catalog, song, "--id", "other").status).toBe(0);
  });
});

describe("separate", () => {
  test.each([
    [1, 44100],
    [2, 44100],
    [2, 8000],
    [1, 192000],
    [8, 48000],
  ])("%i channels at %i Hz: stems of the input's length that sum to it", (count, sampleRate) => {
    const folder = scratch();
    const seconds = 3;
    const channels = Array.from({ length: count }, (_, index) => noise(seconds, sampleRate, index + 1));
    const file = writeWav(join(folder, "song.wav"), channels, sampleRate);
    const out = join(folder, "out");
    const model = fixtureModel("mask-quarters").manifest;
    const { status, documents, stderr } = otolith("separate", file, "--out", out, "--model", model, "--json");
    expect(status, stderr).toBe(0);
    const [found] = documents;
    expect(Object.keys(found.stems).sort()).toEqual(["instrumental", "vocals"]);
    const stems = Object.values<string>(found.stems).map((path) => readWav(readFileSync(path)));
    for (const stem of stems) {
      expect(stem.sampleRate).toBe(sampleRate);
      expect(stem.channels[0]).toHaveLength(seconds * sampleRate);
    }
    expect(found.stems.vocals).toBe(join(out, "song", "vocals.wav"));
    expect(found.workers).toBeGreaterThan(0);
    if (count > 2) return; // more channels are mixed down to two, which changes what the stems sum to
    let peak = 0;
    channels.forEach((channel, index) => {
      channel.forEach((value, frame) => {
        const sum = stems.reduce((total, stem) => total + (stem.channels[index]?.[frame] ?? 0), 0);
        peak = Math.max(peak, Math.abs(sum - value));
      });
    });
    expect(20 * Math.log10(peak)).toBeLessThan(-90);
  });

  test.each([
    ["map-quarters", ["instrumental", "vocals"]],
    ["waveform-quarters", ["instrumental", "vocals"]],
    ["waveform-fixed", ["instrumental", "vocals"]],
    ["mdx-quarter", ["instrumental", "vocals"]],
    ["mask-five", ["bass", "drums", "fx", "instruments", "vocals"]],
    ["mask-one", ["rest", "vocals"]],
  ])("a network of another contract, %s, needs nothing but its manifest", (name, stems) => {
    const folder = scratch();
    const mix = noise(8, 44100, 4);
    const file = writeWav(join(folder, "song.wav"), [mix], 44100);
    const { status, documents, stderr } = otolith("separate", file, "--out", folder, "--model", fixtureModel(name).manifest, "--json");
    expect(status, stderr).toBe(0);
    expect(Object.keys(documents[0].stems).sort()).toEqual(stems);
    const tracks = Object.values<string>(documents[0].stems).map((path) => readWav(readFileSync(path)).channels[0]);
    const peak = mix.reduce((peak, value, frame) => {
      const sum = tracks.reduce((total, track) => total + (track?.[frame] ?? 0), 0);
      return Math.max(peak, Math.abs(sum - value));
    }, 0);
    expect(20 * Math.log10(peak)).toBeLessThan(-90);
  });

  test("a manifest that lies about its network is refused with both shapes", () => {
    const folder = scratch();
    const file = writeWav(join(folder, "song.wav"), [noise(1, 44100, 5)], 44100);
    const { status, stderr } = otolith("separate", file, "--out", folder, "--model", fixtureModel("wrong-mdx-bins").manifest);
    expect(status).not.toBe(0);
    expect(stderr).toContain("[1, 4, 3072, 256]");
    expect(stderr).toContain("[1, 4, 2048, 256]");
  });

  test.each([
    ["wav16", 2],
    ["wav24", 3],
    ["wav32f", 4],
  ])("--format %s writes %i bytes a sample", (format, bytes) => {
    const folder = scratch();
    const file = writeWav(join(folder, "song.wav"), [noise(2, 44100, 1), noise(2, 44100, 2)], 44100);
    const model = fixtureModel("mask-quarters").manifest;
    const { status, documents, stderr } = otolith("separate", file, "--out", folder, "--model", model, "--format", format, "--json");
    expect(status, stderr).toBe(0);
    const size = readFileSync(documents[0].stems.vocals).length;
    expect(size - 2 * 2 * 44100 * Number(bytes)).toBeGreaterThanOrEqual(44);
    expect(size - 2 * 2 * 44100 * Number(bytes)).toBeLessThan(200);
  });

  test.each([
    ["mask-five", ["vocals", "drums", "bass", "instruments", "fx"]],
    ["waveform-quarters", ["vocals", "instrumental"]],
    ["mdx-quarter", ["vocals", "instrumental"]],
  ])("a manifest alone runs %s, without --stems too", (name, stems) => {
    const folder = scratch();
    const file = writeWav(join(folder, "song.wav"), [noise(2, 44100, 1)], 44100);
    for (const asked of [[], ["--stems", String(stems.length)]]) {
      const model = fixtureModel(name).manifest;
      const { status, documents, stderr } = otolith("separate", file, "--out", folder, "--model", model, "--json", ...asked);
      expect(status, stderr).toBe(0);
      expect(Object.keys(documents[0].stems)).toEqual(stems);
      expect(documents[0].model.name).toBe(name);
    }
    const other = stems.length === 5 ? "2" : "5";
    const refused = otolith("separate", file, "--out", folder, "--model", fixtureModel(name).manifest, "--stems", other);
    expect([refused.status, refused.stderr]).toEqual([5, expect.stringContaining(`names 0 separators of ${other} stems`)]);
  });

  test("the same bits with one worker and with three", () => {
    const folder = scratch();
    const file = writeWav(join(folder, "song.wav"), [noise(50, 44100, 3)], 44100);
    const model = fixtureModel("mask-quarters").manifest;
    const bytes = ["1", "3"].map((workers) => {
      const { status, documents, stderr } = otolith(
        "separate",
        file,
        "--out",
        join(folder, workers),
        "--model",
        model,
        "--workers",
        workers,
        "--json",
      );
      expect(status, stderr).toBe(0);
      return readFileSync(documents[0].stems.vocals);
    });
    expect(bytes[0]?.equals(bytes[1] ?? Buffer.alloc(0))).toBe(true);
  });

  test("the shipped model separates the example song", ({ skip }) => {
    skip(!existsSync(join(root, "dist/models/manifest.json")), "no model is shipped yet");
    const folder = scratch();
    const { status, documents, stderr } = otolith("separate", join(root, "www/public/example-2.flac"), "--out", folder, "--json");
    expect(status, stderr).toBe(0);
    expect(documents[0].model.name).toMatch(/^separator-2/);
    expect(documents[0].peakMemory.inference.length).toBeGreaterThan(0);
  });
});

describe("models", () => {
  test("list names every model of the manifest, verify finds the files as claimed", ({ skip }) => {
    skip(!existsSync(join(root, "dist/models/manifest.json")), "no model is shipped yet");
    const manifest = JSON.parse(readFileSync(join(root, "dist/models/manifest.json"), "utf8"));
    const listed = otolith("models", "list", "--json");
    expect(listed.documents.map(({ name }) => name)).toEqual(manifest.models.map(({ name }: { name: string }) => name));
    const verified = otolith("models", "verify", "--json");
    expect(verified.status, verified.stderr).toBe(0);
    expect(verified.documents.every(({ ok }) => ok === true)).toBe(true);
  });
});
