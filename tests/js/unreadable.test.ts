// Sounds, models and programs whose bytes cannot be had, or not to their end: always a typed error that says which and why.
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openAsBlob,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createEngine, type Engine } from "otolith";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { decodeByBrowser } from "../../js/web-audio-decoder.js";
import { openEncoded } from "../../js/worker/encoded-file.js";
import { fixtureModel } from "./fixture-models.js";
import { noise, wav16 } from "./signal.js";

const rate = 44_100;
const quarters = fixtureModel("mask-quarters");
const options = { model: "quarters", chunk: 6, overlap: 0.5 } as const;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "otolith-unreadable-"));
  chmodSync(folder, 0o755);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A WAV file of noise on disk. */
function song(name: string, seconds = 2): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(wav16([noise(seconds * rate)], rate)));
  utimesSync(path, 1000, 1000);
  return path;
}

/** What a job knows of a file that it takes. */
function taken(path: string) {
  const { size, mtimeNs } = statSync(path, { bigint: true });
  return { path, size: Number(size), modified: mtimeNs };
}

/** Writes over a byte in the middle; the file was last written at an early date, so that the clock's steps do not matter. */
function alter(path: string): void {
  const file = openSync(path, "r+");
  writeSync(file, new Uint8Array([1]), 0, 1, 1000);
  closeSync(file);
}

/** What an error of a file that cannot be read looks like: the file, the reason, and what to do. */
const unreadable = (file: string, why: RegExp) => ({
  name: "OtolithError",
  code: "invalid-input",
  message: expect.stringMatching(
    new RegExp(`^the file could not be read: .*${why.source}.*; it must be there, readable and unchanged until the job has ended$`),
  ),
  file: expect.stringContaining(file),
});
const failureOf = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => "it was read",
    ({ name, code, message }) => ({ name, code, message, file: message }),
  );

/** Runs `work` as a user who may not read what is closed to others; root may read everything. */
async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

describe("a file that a worker opens", () => {
  it.each([
    ["is not there", () => join(folder, "absent.wav"), /ENOENT/],
    ["lies under a file", () => join(song("under.wav"), "x.wav"), /ENOTDIR/],
    [
      "is a link to itself",
      () => {
        const path = join(folder, "loop.wav");
        symlinkSync(path, path);
        return path;
      },
      /ELOOP/,
    ],
  ])("%s", async (_, make, why) => {
    const path = make();
    expect(await failureOf(openEncoded({ path, size: 1000, modified: 0n }, ""))).toEqual(unreadable(path, why));
  });

  it("may not be read", async () => {
    const path = song("closed.wav");
    chmodSync(path, 0);
    expect(await asNobody(() => failureOf(openEncoded(taken(path), "")))).toEqual(unreadable(path, /EACCES/));
  });

  it("gives fewer bytes than it had, or none since it is a folder", async () => {
    const path = song("shorter.wav");
    const file = await openEncoded(taken(path), "");
    expect(file.read(0, 44)).toHaveLength(44);
    truncateSync(path, 1000);
    expect(() => file.read(900, 200)).toThrow(`${path}: it has become shorter; it must be there`);
    file.close();
    const dir = join(folder, "dir.wav");
    mkdirSync(dir);
    const opened = await openEncoded(taken(dir), "");
    expect(() => opened.read(0, 10)).toThrow(/dir\.wav: EISDIR/);
    opened.close();
  });

  it.each([
    ["is written over at the same length", (path: string) => alter(path)],
    ["has another time, by a millisecond", (path: string) => utimesSync(path, 1000, 1000.001)],
    ["has become longer", (path: string) => writeFileSync(path, "x", { flag: "a" })],
  ])("%s", async (_, change) => {
    const path = song("changed.wav");
    const file = await openEncoded(taken(path), "");
    expect(file.read(900, 200)).toHaveLength(200);
    change(path);
    expect(() => file.read(0, 44)).toThrow(`${path}: it has changed; it must be there`);
    file.close();
  });

  it("is another one than was given; one that comes in its place later changes nothing", async () => {
    const [path, other] = [song("given.wav"), song("other.wav", 3)];
    const given = taken(path);
    const file = await openEncoded(given, "");
    renameSync(other, path);
    expect(file.read(0, 44)).toHaveLength(44);
    file.close();
    const late = await openEncoded(given, "");
    expect(() => late.read(0, 44)).toThrow("it has changed");
    late.close();
  });
});

describe("a job in Node", () => {
  let engine: Engine;

  beforeEach(async () => {
    engine = await createEngine({ workers: 1, models: { quarters }, limits: { heldBytes: 0 } });
    // Its workers are there before anybody's rights change.
    await engine.separate(pathToFileURL(song("first.wav")), options);
  });
  afterEach(async () => {
    await engine.dispose();
  });

  it("of a file that is not there, or is none", async () => {
    const path = join(folder, "absent.wav");
    for (const method of ["decode", "beats", "fingerprint", "separate"] as const)
      expect(await failureOf(engine[method](pathToFileURL(path)))).toEqual(unreadable(path, /ENOENT/));
    expect(await failureOf(engine.decode(pathToFileURL(folder)))).toEqual(unreadable(folder, /it is no file/));
  });

  it("that waits while its file is deleted; the next job works", async () => {
    const [first, gone, last] = ["one.wav", "gone.wav", "last.wav"].map((name) => engine.separate(pathToFileURL(song(name)), options));
    rmSync(join(folder, "gone.wav"));
    expect((await first)?.frames).toBe(2 * rate);
    expect(await failureOf(gone as PromiseLike<unknown>)).toEqual(unreadable("gone.wav", /ENOENT/));
    expect((await last)?.frames).toBe(2 * rate);
  });

  it("whose worker may not read the file", async () => {
    const path = song("secret.wav");
    chmodSync(path, 0);
    expect(await asNobody(() => failureOf(engine.decode(pathToFileURL(path))))).toEqual(unreadable(path, /EACCES/));
    expect(await asNobody(() => failureOf(engine.separate(pathToFileURL(path), options)))).toEqual(unreadable(path, /EACCES/));
  });

  it("whose file is cut while it is heard for the first time", async () => {
    const path = song("cut-first.wav", 120);
    const cut = ({ phase, done }: { phase: string; done: number }) => phase === "decode" && done > 0.2 && truncateSync(path, 1_000_000);
    expect(await failureOf(engine.separate(pathToFileURL(path), { ...options, onProgress: cut }))).toEqual(
      unreadable(path, /it has become shorter/),
    );
    expect(await failureOf(engine.decode(pathToFileURL(song("cut-first.wav", 120)), { onProgress: cut }))).toEqual(
      unreadable(path, /it has become shorter/),
    );
  });

  it("whose file is cut while it is heard for the second time", async () => {
    const path = song("cut-second.wav", 120);
    const read = async () => {
      for await (const { index } of engine.separate(pathToFileURL(path), { ...options, collect: false }))
        if (index === 0) truncateSync(path, 1_000_000);
    };
    expect(await failureOf(read())).toEqual(unreadable(path, /it has become shorter/));
    expect((await engine.separate(pathToFileURL(song("after.wav")), options)).frames).toBe(2 * rate);
  });

  it("whose file is written over between or during its hearings", async () => {
    const first = song("over-first.wav", 120);
    const over = ({ phase, done }: { phase: string; done: number }) => phase === "decode" && done > 0.2 && alter(first);
    expect(await failureOf(engine.separate(pathToFileURL(first), { ...options, onProgress: over }))).toEqual(
      unreadable(first, /it has changed/),
    );
    const second = song("over-second.wav", 120);
    const read = async () => {
      for await (const { index } of engine.separate(pathToFileURL(second), { ...options, collect: false })) if (index === 0) alter(second);
    };
    expect(await failureOf(read())).toEqual(unreadable(second, /it has changed/));
  });

  it("of a Blob of a file that has changed", async () => {
    const path = song("blob.wav");
    const blob = await openAsBlob(path);
    expect((await engine.separate(blob, options)).frames).toBe(2 * rate);
    truncateSync(path, 1000);
    for (const job of [engine.decode(blob), engine.separate(blob, options)])
      expect(await failureOf(job)).toEqual(unreadable("", /could not be read/));
  });
});

describe("what comes over the network and breaks off", () => {
  let server: Server;
  let base: string;

  beforeAll(async () => {
    // A hundredth of what it promises, and then nothing more.
    server = createServer((_, response) => {
      response.writeHead(200, { "content-length": "10000", "content-type": "application/octet-stream" });
      response.write(new Uint8Array(100), () => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it("a sound", async () => {
    const engine = await createEngine({ workers: 1, models: { quarters } });
    const url = new URL(`${base}/song.wav`);
    for (const job of [engine.decode(url), engine.separate(url, options)])
      await expect(job).rejects.toMatchObject({
        name: "OtolithError",
        code: "invalid-input",
        message: expect.stringMatching(/^could not fetch http:.*song\.wav: the answer broke off after \d+ bytes: .*; try again$/),
      });
    await engine.dispose();
  });

  it("a model", async () => {
    const broken = { manifest: quarters.manifest, bytes: new URL(`${base}/model.onnx`) };
    const engine = await createEngine({ workers: 1, models: { quarters: broken } });
    await expect(engine.separate(pathToFileURL(song("fine.wav")), options)).rejects.toMatchObject({
      name: "OtolithError",
      code: "model-load",
      message: expect.stringMatching(/model\.onnx answered status 200.* and broke off after \d+ bytes/),
      details: { url: `${base}/model.onnx` },
    });
    await engine.dispose();
  });

  it.each([
    ["core.wasm", () => `${base}/core.wasm`, /core\.wasm answered status 200 and broke off after \d+ bytes/],
    [
      "a Response that throws",
      () => {
        const body = new ReadableStream({ pull: (controller) => controller.error(new Error("the line is dead")) });
        return new Response(body);
      },
      /a Response answered status 200 and broke off after 0 bytes: the line is dead/,
    ],
    [
      "a Response that was read before",
      () => {
        const response = new Response("x");
        void response.text();
        return response;
      },
      /a Response answered status 200 and broke off after 0 bytes/,
    ],
  ])("%s", async (_, core, message) => {
    await expect(createEngine({ urls: { core: core() } })).rejects.toMatchObject({
      name: "OtolithError",
      code: "unsupported-environment",
      message: expect.stringMatching(message),
    });
  });
});

describe("a Blob in hand that cannot be read", () => {
  /** A Blob whose bytes are refused, as a browser refuses a file that has changed. */
  function refusing(): Blob {
    const refuse = async () => {
      throw new DOMException("The requested file could not be read", "NotReadableError");
    };
    return Object.assign(new Blob(["x"]), { arrayBuffer: refuse, slice: () => Object.assign(new Blob(), { arrayBuffer: refuse }) });
  }

  it("is not taken for one that the browser's decoder refuses", async () => {
    const decode = async () => {
      throw new Error("it was decoded");
    };
    const failure = await failureOf(decodeByBrowser({ kind: "file", bytes: refusing(), name: "talk.webm" }, {}, decode));
    expect(failure).toEqual(unreadable("talk.webm", /The requested file could not be read/));
  });

  it("as a model is model-load", async () => {
    const engine = await createEngine({ workers: 1, models: { quarters: { manifest: quarters.manifest, bytes: refusing() } } });
    await expect(engine.separate(pathToFileURL(song("model-blob.wav")), options)).rejects.toMatchObject({
      code: "model-load",
      message: expect.stringMatching(/quarters.*its file could not be read: The requested file/),
    });
    await engine.dispose();
  });
});
