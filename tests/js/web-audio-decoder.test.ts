import { readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { decodeByBrowser, findWebAudioDecode } from "../../js/web-audio-decoder.js";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`../data/audio/${name}`, import.meta.url))).buffer;
const opus = fixture("mono-48k-opus.ogg");
const file = (bytes: ArrayBuffer | Blob, name = "") => ({ kind: "file", bytes, name }) as const;
/** A decoder of half a second of silence, and whether it was asked. */
const decoder = () =>
  vi.fn(
    async () => ({ numberOfChannels: 1, sampleRate: 48_000, getChannelData: () => new Float32Array(24_000) }) as unknown as AudioBuffer,
  );

describe("sounds that the browser decodes", () => {
  it.each([
    ["Opus in Ogg", opus],
    ["Opus in a Blob", new Blob([opus])],
    ["WebM", Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3, 0x9f).buffer],
  ])("%s becomes samples", async (_, bytes) => {
    const source = await decodeByBrowser(file(bytes), {}, decoder());
    expect(source).toMatchObject({ kind: "samples", sampleRate: 48_000 });
    expect(source.kind === "samples" && source.channels.map(({ length }) => length)).toEqual([24_000]);
  });

  it.each(["mono-44k.ogg", "mono-22k.mp3", "stereo-44k.flac", "mono-8k-u8.wav", "stereo-48k.m4a"])("%s goes on untouched", async (name) => {
    const decode = decoder();
    const source = file(fixture(name));
    expect(await decodeByBrowser(source, {}, decode)).toBe(source);
    expect(decode).not.toHaveBeenCalled();
  });

  it("samples, an empty file and a runtime without a decoder change nothing", async () => {
    const samples = { kind: "samples", channels: [Float32Array.of(0)], sampleRate: 8000 } as const;
    expect(await decodeByBrowser({ ...samples, channels: [...samples.channels] }, {}, decoder())).toEqual(samples);
    const empty = file(new ArrayBuffer(0));
    expect(await decodeByBrowser(empty, {}, decoder())).toBe(empty);
    const source = file(opus);
    expect(await decodeByBrowser(source, {}, findWebAudioDecode({}))).toBe(source);
  });

  it.each([
    ["durationSeconds", { durationSeconds: 0.05 }, /the sound has 0\.1 seconds, 0\.05 are allowed: raise limits\.durationSeconds/],
    ["decodedBytes", { decodedBytes: 1000 }, /decoded bytes, 1000 are allowed: raise limits\.decodedBytes/],
  ])("a file beyond limits.%s is refused before it is decoded", async (limit, limits, message) => {
    const decode = decoder();
    await expect(decodeByBrowser(file(opus), limits, decode)).rejects.toMatchObject({
      code: "limit",
      message: expect.stringMatching(message),
      details: { limit },
    });
    expect(decode).not.toHaveBeenCalled();
  });

  it("an hour that the last page states is refused by the default limits only beyond four", async () => {
    const long = (hours: number) => {
      const bytes = opus.slice(0);
      const last = Buffer.from(bytes).lastIndexOf("OggS");
      new DataView(bytes).setBigInt64(last + 6, BigInt(hours * 3600 * 48_000), true);
      return file(bytes);
    };
    await expect(decodeByBrowser(long(1), {}, decoder())).resolves.toMatchObject({ kind: "samples" });
    await expect(decodeByBrowser(long(5), {}, decoder())).rejects.toMatchObject({ code: "limit" });
  });

  it("a file that the browser refuses is named, with its cause", async () => {
    const cause = new Error("EncodingError");
    await expect(decodeByBrowser(file(opus, "talk.opus"), {}, () => Promise.reject(cause))).rejects.toMatchObject({
      code: "unsupported-format",
      message: expect.stringMatching(/"talk\.opus" is Opus in Ogg.*convert it/),
      cause,
    });
  });
});
