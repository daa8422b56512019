import type { BeatEvent } from "../beat-stream.js";
import { OtolithError } from "../errors.js";
import { type Call, use } from "./call.js";
import { CatalogDesk } from "./catalog-desk.js";
import { openEncoded } from "./encoded-file.js";
import type {
  Calls,
  CatalogTurn,
  ChunkParams,
  ChunkStems,
  HeardBeats,
  Method,
  NetworkTensor,
  PrintData,
  SoundInput,
  WorkerKind,
} from "./protocol.js";
import type { BeatStream, ChunkTask, CoreRooms, Freeable, NeuralRooms, Print, SeparatorModel, Sound } from "./rooms.js";
import { SeparationDesk } from "./separation-desk.js";

/** Samples that are handled between two pauses, where whole stems are. */
const BLOCK = 1 << 20;

/** What a worker answers a call with, and which buffers leave with the answer. */
export type Answer<M extends Method> = { result: Calls[M]["result"]; transfer?: ArrayBuffer[] };

/** Calls that need no wasm. */
type OtherMethod = "initialise" | "openGpu" | "loadGpuModel" | "probeGpu" | "runGpu";

type Handlers = { [M in Exclude<Method, OtherMethod>]: (params: Calls[M]["params"], call: Call) => Promise<Answer<M>> | Answer<M> };

/** The calls of one wasm instance, and what it holds between them: one separation, one catalogue, one beat stream, the models loaded so far. */
export class Instance {
  readonly #rooms: CoreRooms | NeuralRooms;
  readonly #kind: WorkerKind;
  readonly #models = new Map<string, SeparatorModel>();
  #task: ChunkTask | undefined;
  readonly #separation: SeparationDesk;
  readonly #desk: CatalogDesk;
  readonly #networks = new Map<string, Freeable>();
  #stream: BeatStream | undefined;

  constructor(rooms: CoreRooms | NeuralRooms, kind: WorkerKind) {
    this.#rooms = rooms;
    this.#kind = kind;
    this.#desk = new CatalogDesk(rooms);
    this.#separation = new SeparationDesk(rooms);
  }

  /** Bytes of linear memory, which never shrinks. */
  get memoryBytes(): number {
    return this.#rooms.memoryBytes();
  }

  /** The call named `method`; undefined if there is none. */
  handler(method: string): ((params: never, call: Call) => Promise<Answer<Method>> | Answer<Method>) | undefined {
    return Object.hasOwn(this.#handlers, method) ? this.#handlers[method as keyof Handlers] : undefined;
  }

  readonly #handlers: Handlers = {
    decode: async (input, call) => {
      return use(await this.#decode(input, call), samplesOf);
    },

    encodeWav: ({ channels, sampleRate, format }) => {
      const bytes = this.#rooms.encodeWav(channels, sampleRate, format);
      return { result: bytes, transfer: [bytes.buffer] };
    },

    beats: async ({ options, model, notice, ...input }, call) => {
      const network = model === undefined ? undefined : this.#network(model);
      const sound = await this.#decode(input, call);
      const stepper = network
        ? this.#neural().BeatStepper.withNetwork(sound, options, network)
        : new this.#rooms.BeatStepper(sound, options, notice);
      await call.drive(stepper, "analyze");
      return { result: stepper.finish() };
    },

    openBeatStream: ({ sampleRate, options, model, notice }) => {
      this.#stream?.free();
      this.#stream = undefined;
      const stream =
        model === undefined
          ? new this.#rooms.BeatStream(sampleRate, options, notice)
          : this.#neural().BeatStream.withNetwork(sampleRate, options, this.#network(model));
      this.#stream = stream;
      return { result: { latency: stream.latency, method: stream.method, model: stream.model, notice: stream.notice } };
    },

    pushBeatStream: ({ channels }) => this.#heard((stream) => stream.push(channels)),

    flushBeatStream: () => this.#heard((stream) => stream.flush()),

    clickTrack: async ({ beats, downbeats, options, ...input }, call) => {
      const sound = await this.#decode(input, call);
      return use(sound, () => use(this.#rooms.clickTrack(sound, beats, downbeats, options), samplesOf));
    },

    activity: async ({ options, ...input }, call) => {
      const stepper = new this.#rooms.ActivityScan(await this.#decode(input, call), options);
      await call.drive(stepper, "analyze");
      return { result: stepper.finish() };
    },

    fingerprint: async ({ options, model, ...input }, call) => {
      const network = model === undefined ? undefined : this.#network(model);
      const sound = await this.#decode(input, call);
      const stepper = network
        ? this.#neural().Fingerprinter.withNetwork(sound, options, network)
        : new this.#rooms.Fingerprinter(sound, options);
      await call.drive(stepper, "analyze");
      const result = use(stepper.finish(), printData);
      return { result, transfer: [result.bytes.buffer] };
    },

    inspect: ({ bytes, options }) => ({ result: JSON.parse(this.#rooms.inspect(bytes, options)) as Readonly<Record<string, unknown>> }),

    manifest: ({ json, packageVersion }) => ({ result: this.#rooms.parseManifest(json, packageVersion) }),

    sha256: ({ bytes }) => ({ result: this.#rooms.sha256(new Uint8Array(bytes)) }),

    verifyModel: ({ entry, bytes }) => {
      this.#rooms.verifyModel(entry, undefined, new Uint8Array(bytes));
      return { result: null };
    },

    openSeparation: async (params, call) => ({ result: await this.#separation.open(params, call) }),

    takeChunk: async ({ index }, call) => {
      const { silent, gain, left, right } = await this.#separation.chunk(index, call);
      return { result: { silent, gain, left, right }, transfer: [left.buffer, right.buffer] };
    },

    pushChunk: ({ index, stems }) => {
      const result = this.#separation.push(index, stems);
      return { result, transfer: result.stems.flat().map((channel) => channel.buffer) };
    },

    peakGains: () => ({ result: this.#separation.peakGains }),

    scaleSamples: async ({ channels, gain }, call) => {
      for (const channel of channels)
        for (let start = 0; start < channel.length; start += BLOCK) {
          this.#rooms.scaleSamples(channel.subarray(start, start + BLOCK), gain);
          await call.pause();
        }
      return { result: channels, transfer: channels.map((channel) => channel.buffer) };
    },

    closeSeparation: () => {
      this.#separation.close();
      return { result: null };
    },

    hasModel: ({ key }) => ({ result: this.#models.has(key) || this.#networks.has(key) }),

    loadModel: ({ key, entry, bytes }) => {
      this.#models.get(key)?.free();
      this.#models.delete(key);
      this.#models.set(key, new (this.#neural().SeparatorModel)(entry, new Uint8Array(bytes)));
      return { result: null };
    },

    loadNetwork: ({ key, entry, files }) => {
      const { BeatModel, CausalBeatModel, EmbedderModel } = this.#neural();
      const bytes = (role: string) => new Uint8Array(files[role] ?? new ArrayBuffer(0));
      this.#networks.get(key)?.free();
      this.#networks.delete(key);
      const network =
        "model" in files
          ? new EmbedderModel(entry, bytes("model"))
          : "block" in files
            ? new CausalBeatModel(entry, bytes("block"))
            : new BeatModel(entry, bytes("front"), bytes("trunk"), bytes("tempo"));
      this.#networks.set(key, network);
      return { result: null };
    },

    runChunk: (params, call) => {
      this.#dropChunk();
      this.#task = this.#newTask(params);
      return this.#complete(call);
    },

    prepareChunk: (params) => {
      this.#dropChunk();
      this.#task = this.#newTask(params);
      const input = this.#task.prepare();
      return { result: input, transfer: [input.values.buffer] };
    },

    completeChunk: ({ output }, call) => this.#complete(call, output),

    dropChunk: () => {
      this.#dropChunk();
      return { result: null };
    },

    probeModel: ({ key }) => {
      const probe = this.#model(key).probe();
      return { result: probe, transfer: [probe.input.buffer, probe.output.buffer] };
    },

    openCatalog: async (opening, call) => answerOf(await this.#desk.open(opening, call)),

    catalogCall: async (command, call) => answerOf(await this.#desk.begin(command, call)),

    catalogAnswer: async (answer, call) => answerOf(await this.#desk.resume(answer, call)),

    closeCatalog: async () => {
      await this.#desk.close();
      return { result: null };
    },

    hasTrack: ({ id }) => ({ result: this.#desk.catalog.has(id) }),

    trackIds: () => ({ result: this.#desk.catalog.ids() }),

    tracks: () => ({ result: this.#desk.catalog.tracks() }),

    catalogStats: () => ({ result: this.#desk.catalog.stats() }),

    testPanic: ({ message }) => {
      this.#rooms.__test_panic(message);
      return { result: null };
    },
  };

  /** The sound of `input`, decoded in steps. */
  async #decode({ source, limits }: SoundInput, call: Call): Promise<Sound> {
    if (source.kind === "samples") return new this.#rooms.Sound(source.channels, source.sampleRate, limits);
    const file = await openEncoded(source.bytes, source.name);
    try {
      const decoder = new this.#rooms.Decoder(file, source.name, limits, false);
      await call.drive(decoder, "decode");
      return decoder.finish();
    } finally {
      file.close();
    }
  }

  #network(key: string): Freeable {
    const model = this.#networks.get(key);
    if (!model) throw new OtolithError("internal", `model ${key} is not loaded in this worker`);
    return model;
  }

  #heard(hear: (stream: BeatStream) => Omit<BeatEvent, "kind">[]): { result: HeardBeats } {
    if (!this.#stream) throw new OtolithError("internal", "no beat stream is open in this worker");
    const events = hear(this.#stream).map((event) => ({ kind: "beat" as const, ...event }));
    return { result: { events, replaced: this.#stream.replaced } };
  }

  #model(key: string): SeparatorModel {
    const model = this.#models.get(key);
    if (!model) throw new OtolithError("internal", `model ${key} is not loaded in this worker`);
    return model;
  }

  #newTask({ key, left, right, gain, conditioning }: ChunkParams): ChunkTask {
    return new (this.#neural().ChunkTask)(this.#model(key), left, right, gain, conditioning);
  }

  /** Stems of the kept chunk. It stays if its output is refused, so that the network can still be run here. */
  #complete(call: Call, output?: NetworkTensor): { result: ChunkStems; transfer: ArrayBuffer[] } {
    const task = this.#task;
    if (!task) throw new OtolithError("internal", "no chunk is prepared in this worker");
    if (output) task.supply(output.shape, output.values);
    else task.run((fraction) => call.report("infer", fraction, 1));
    this.#task = undefined;
    const stems = task.finish();
    return { result: { stems, device: output ? "webgpu" : "cpu" }, transfer: [stems.buffer] };
  }

  #dropChunk(): void {
    this.#task?.free();
    this.#task = undefined;
  }

  #neural(): NeuralRooms {
    if (this.#kind !== "neural") throw new OtolithError("internal", "this worker runs core.wasm, which has no networks");
    return this.#rooms as NeuralRooms;
  }
}

function samplesOf(sound: Sound) {
  const channels = Array.from({ length: sound.channelCount }, (_, index) => sound.channel(index));
  const result = { channels, sampleRate: sound.sampleRate, warnings: sound.warnings };
  return { result, transfer: channels.map((channel) => channel.buffer) };
}

function printData(print: Print): PrintData {
  const { algorithm, profile, duration, hashCount, warnings } = print;
  return { algorithm, profile, duration, hashCount, warnings, bytes: print.bytes() };
}

function answerOf(turn: CatalogTurn) {
  if (turn.kind === "piece") return { result: turn, transfer: [turn.piece.buffer] };
  if (turn.kind !== "requests") return { result: turn };
  const transfer = turn.requests.flatMap((request) => (request.kind === "write" ? [request.bytes.buffer] : []));
  return { result: turn, transfer };
}
