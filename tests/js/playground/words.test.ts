import { expect, test } from "vitest";
import { beatsCsv } from "../../../www/state/beats-csv.js";
import { JobDesk, toProblem } from "../../../www/state/job-desk.js";
import { excerpt, Song } from "../../../www/state/song.js";
import { byteSize, clock, peakInWords, percent, spokenTime } from "../../../www/state/words.js";

test.each([
  [0, "0:00.0"],
  [59.96, "1:00.0"],
  [63.42, "1:03.4"],
  [3600, "60:00.0"],
  [-1, "0:00.0"],
])("%f seconds read %s on the clock", (seconds, text) => {
  expect(clock(seconds)).toBe(text);
});

test.each([
  [0, "0 seconds"],
  [1.9, "1 second"],
  [60, "1 minute"],
  [63, "1 minute 3 seconds"],
  [121, "2 minutes 1 second"],
])("%f seconds are spoken as %s", (seconds, text) => {
  expect(spokenTime(seconds)).toBe(text);
});

test.each([
  [null, "Peak at 0:03.2, 1,234\u00a0Hz"],
  [0, "Peak at 0:03.2, 1,234\u00a0Hz, paired with no later peaks"],
  [1, "Peak at 0:03.2, 1,234\u00a0Hz, paired with 1 later peak"],
  [2, "Peak at 0:03.2, 1,234\u00a0Hz, paired with 2 later peaks"],
])("a peak with %s pairs is told", (pairs, text) => {
  expect(peakInWords(3.21, 1234.4, pairs)).toBe(text);
});

test("what is short of the whole is not called the whole", () => {
  expect(percent(0.998)).toBe(">\u00a099\u00a0%");
  expect(percent(1)).toBe("100\u00a0%");
  expect(percent(0.426)).toBe("43\u00a0%");
  expect(byteSize(43_000)).toBe("43 kB");
  expect(byteSize(2_950_000)).toBe("3.0 MB");
});

test("beats are written with their times and downbeats marked", () => {
  const track = { beats: Float64Array.of(0.5, 1, 1.5), downbeats: Float64Array.of(1) };
  expect(beatsCsv(track)).toBe("seconds,is_downbeat\n0.5000,0\n1.0000,1\n1.5000,0\n");
});

test("an excerpt has the asked frames of every channel, and ends where the sound ends", () => {
  const sound = { channels: [Float32Array.from({ length: 100 }, (_, i) => i), new Float32Array(100)], sampleRate: 10 };
  const clip = excerpt(sound, 2, 3);
  expect(clip.channels.map((channel) => channel.length)).toEqual([30, 30]);
  expect(clip.channels[0]?.[0]).toBe(20);
  expect(excerpt(sound, 9, 3).channels[0]).toHaveLength(10);
});

test("a song is called by its file's name without the ending", () => {
  const sound = { channels: [new Float32Array(441)], sampleRate: 44100 };
  expect(new Song(new File([], "a.b.flac"), sound, []).title).toBe("a.b");
  expect(new Song(new File([], ".wav"), sound, []).title).toBe(".wav");
  expect(new Song(new File([], "x"), sound, []).duration).toBeCloseTo(0.01, 9);
});

test("a job that fails leaves a problem with its code, and another run only where that may help", async () => {
  const desk = new JobDesk();
  const fails = (code: string) => () => Promise.reject(Object.assign(new Error("it broke"), { code }));
  expect(await desk.run("beats", fails("too-short"), () => {})).toBeUndefined();
  expect(desk.problem).toMatchObject({ kind: "beats", code: "too-short", message: "it broke" });
  expect(desk.problem?.retry).toBeUndefined();
  await desk.run("beats", fails("crashed"), () => {});
  expect(desk.problem?.retry).toBeTypeOf("function");
  expect(await desk.run("beats", () => Promise.resolve(1))).toBe(1);
  expect(desk.problem).toBeNull();
  expect(toProblem("start", "text").code).toBe("internal");
});

test("a cancelled job leaves no problem, and a second of a kind cancels the first", async () => {
  const desk = new JobDesk();
  const untilAborted = ({ signal }: { signal: AbortSignal }) =>
    new Promise<number>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const first = desk.run("match", untilAborted);
  const second = desk.run("match", () => Promise.resolve(2));
  expect(await first).toBeUndefined();
  expect(await second).toBe(2);
  expect(desk.problem).toBeNull();
  expect(desk.isRunning("match")).toBe(false);
});
