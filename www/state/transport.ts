import { breathe } from "./breathe.js";
import type { Sound } from "./song.js";
import { frameCount } from "./song.js";

/** What the transport is doing. `waiting` = playing, at the end of what is made so far. */
export type TransportState = "paused" | "playing" | "waiting";

/** Switches of one track. */
export interface TrackSwitches {
  readonly solo: boolean;
  readonly mute: boolean;
  /** Linear gain, 0..1. */
  readonly volume: number;
}

interface Piece {
  /** Where the piece begins in the song, in seconds. */
  readonly start: number;
  readonly buffer: AudioBuffer;
}

interface Track {
  pieces: Piece[];
  /** Its one piece is the whole sound: nothing is added any more. */
  isWhole: boolean;
  solo: boolean;
  mute: boolean;
  volume: number;
  gain: GainNode | null;
}

/** Time between asking for sound and its start, in seconds: enough to schedule all tracks, too short to be felt. */
const LEAD = 0.06;
/** Time constant of gain changes, in seconds: no click, no audible delay. */
const GAIN_GLIDE = 0.008;
/** Frames copied into an audio buffer at once: 2 MB, so that the page is never held up. */
const COPY_FRAMES = 524_288;

/**
 * Plays one or more tracks of one song in step: every start schedules the sources of all tracks for the same instant of one audio context, so they
 * cannot drift. Fires `change` when its state, its tracks or a switch changes.
 */
export class Transport extends EventTarget {
  #context: AudioContext | null = null;
  #tracks = new Map<string, Track>();
  #sources = new Set<AudioBufferSourceNode>();
  #state: TransportState = "paused";
  /** Song position at which the present run of sources began, and the context time of that moment. */
  #from = 0;
  #began = 0;
  #duration = 0;
  #available = 0;
  #complete = false;
  /** Clicks over the tracks, and what plays them; they end and begin with the tracks. */
  #clicks: AudioBuffer | null = null;
  #clicksOn = false;
  #clickSource: AudioBufferSourceNode | null = null;

  /** Whether clicks have been given. */
  get hasClicks(): boolean {
    return this.#clicks !== null;
  }

  /** Whether clicks are heard with the tracks. */
  get clicksOn(): boolean {
    return this.#clicksOn;
  }

  /** Takes clicks that last as long as the song; they are off. */
  async setClicks(sound: Sound): Promise<void> {
    this.#clicks = await toBuffer(sound);
    this.#clicksOn = false;
  }

  /** Turns the clicks on or off. */
  toggleClicks(): void {
    this.#clicksOn = !this.#clicksOn && this.#clicks !== null;
    if (this.#state === "playing") this.seek(this.position);
    else this.#announce();
  }

  /** What the transport is doing. */
  get state(): TransportState {
    return this.#state;
  }

  /** Length of the song in seconds; 0 with no song. */
  get duration(): number {
    return this.#duration;
  }

  /** Position in seconds, 0..duration. */
  get position(): number {
    if (this.#state !== "playing" || !this.#context) return this.#from;
    const played = Math.max(0, this.#context.currentTime - this.#began);
    return Math.min(this.#from + played, this.#available);
  }

  /** Names of the tracks, in the order they were given. */
  get trackNames(): string[] {
    return [...this.#tracks.keys()];
  }

  /** Switches of a track; those of a track that sounds as it is for an unknown name. */
  switches(name: string): TrackSwitches {
    const track = this.#tracks.get(name);
    return { solo: track?.solo ?? false, mute: track?.mute ?? false, volume: track?.volume ?? 1 };
  }

  /** Whether a track is heard: soloed, or not muted while none is soloed. */
  isHeard(name: string): boolean {
    const track = this.#tracks.get(name);
    if (!track) return false;
    const anySolo = [...this.#tracks.values()].some((other) => other.solo);
    return anySolo ? track.solo : !track.mute;
  }

  /** Takes the song away and stops. */
  clear(): void {
    this.#stopSources();
    this.#tracks.clear();
    this.#clicks = null;
    this.#clicksOn = false;
    this.#from = 0;
    this.#duration = 0;
    this.#available = 0;
    this.#complete = false;
    this.#setState("paused");
  }

  /** Puts empty tracks in place of those there are. The position stays; if there was sound, it goes on once pieces reach there. */
  layTracks(names: readonly string[], duration: number): void {
    const sounding = this.#state !== "paused";
    this.#from = this.position;
    this.#stopSources();
    for (const track of this.#tracks.values()) track.gain?.disconnect();
    this.#tracks = new Map(names.map((name) => [name, { pieces: [], isWhole: false, solo: false, mute: false, volume: 1, gain: null }]));
    this.#duration = duration;
    this.#available = 0;
    this.#complete = false;
    this.#setState(sounding ? "waiting" : "paused");
  }

  /** Says that no more pieces will come: playing ends where they end, without waiting. */
  endTracks(): void {
    this.#complete = true;
    if (this.#state === "waiting") this.#setState("paused");
    else this.#announce();
  }

  /**
   * Adds the next piece of every track, and plays on if the transport was waiting for it.
   * @param start where the piece begins, in seconds
   */
  async addPieces(start: number, pieces: ReadonlyMap<string, Sound>): Promise<void> {
    const tracks = this.#tracks;
    const buffers = new Map<string, AudioBuffer>();
    for (const [name, sound] of pieces) buffers.set(name, await toBuffer(sound));
    if (tracks !== this.#tracks) return;
    for (const [name, buffer] of buffers) {
      const track = tracks.get(name);
      // A piece that was still being copied when the whole came would sound twice.
      if (!track || track.isWhole) continue;
      const piece = { start, buffer };
      track.pieces.push(piece);
      this.#available = Math.max(this.#available, start + buffer.duration);
      if (this.#state === "playing") this.#schedule(track, piece);
    }
    if (this.#state === "waiting") this.#run();
    else this.#announce();
  }

  /** Puts one whole sound in place of each track's pieces. What sounds at the moment goes on until the next start. */
  async replaceByWholes(wholes: ReadonlyMap<string, Sound>): Promise<void> {
    const tracks = this.#tracks;
    for (const [name, sound] of wholes) {
      const buffer = await toBuffer(sound);
      const track = tracks.get(name);
      if (tracks !== this.#tracks || !track) return;
      track.pieces = [{ start: 0, buffer }];
      track.isWhole = true;
      this.#available = this.#duration;
    }
    if (this.#state === "waiting") this.#run();
    this.endTracks();
  }

  /** Starts at the position, from the beginning if it is at the end. Must follow a gesture of the visitor the first time. */
  async play(): Promise<void> {
    if (this.#state !== "paused" || this.#tracks.size === 0) return;
    if (this.#from >= (this.#complete ? this.#available : this.#duration) - 0.01) this.#from = 0;
    this.#context ??= new AudioContext();
    if (this.#context.state !== "running") await this.#context.resume();
    this.#run();
  }

  /** Stops and keeps the position. */
  pause(): void {
    this.#from = this.position;
    this.#stopSources();
    this.#setState("paused");
  }

  /** Plays if paused, pauses otherwise. */
  toggle(): void {
    if (this.#state === "paused") void this.play();
    else this.pause();
  }

  /** Moves to a position in seconds, clamped to the song. */
  seek(seconds: number): void {
    const sounding = this.#state !== "paused";
    this.#stopSources();
    this.#from = Math.max(0, Math.min(seconds, this.#duration));
    if (sounding) this.#run();
    else this.#announce();
  }

  /** Turns solo of a track on or off. */
  toggleSolo(name: string): void {
    const track = this.#tracks.get(name);
    if (track) track.solo = !track.solo;
    this.#applyGains();
  }

  /** Turns mute of a track on or off. */
  toggleMute(name: string): void {
    const track = this.#tracks.get(name);
    if (track) track.mute = !track.mute;
    this.#applyGains();
  }

  /** Sets a track's volume, 0..1. */
  setVolume(name: string, volume: number): void {
    const track = this.#tracks.get(name);
    if (track) track.volume = Math.max(0, Math.min(1, volume));
    this.#applyGains();
  }

  #run(): void {
    const context = this.#context;
    if (!context) return;
    if (this.#from >= this.#available) {
      this.#setState(this.#complete ? "paused" : "waiting");
      return;
    }
    this.#began = context.currentTime + LEAD;
    for (const track of this.#tracks.values()) {
      for (const piece of track.pieces) this.#schedule(track, piece);
    }
    this.#scheduleClicks(context);
    this.#setState("playing");
  }

  #scheduleClicks(context: AudioContext): void {
    if (!this.#clicks || !this.#clicksOn || this.#from >= this.#clicks.duration) return;
    this.#clickSource = new AudioBufferSourceNode(context, { buffer: this.#clicks });
    this.#clickSource.connect(context.destination);
    this.#clickSource.start(this.#began, this.#from);
  }

  #stopClicks(): void {
    this.#clickSource?.stop();
    this.#clickSource?.disconnect();
    this.#clickSource = null;
  }

  #schedule(track: Track, piece: Piece): void {
    const context = this.#context;
    const offset = Math.max(0, this.#from - piece.start);
    if (!context || offset >= piece.buffer.duration) return;
    track.gain ??= this.#makeGain(context, track);
    const source = new AudioBufferSourceNode(context, { buffer: piece.buffer });
    source.connect(track.gain);
    source.start(this.#began + Math.max(0, piece.start - this.#from), offset);
    source.onended = () => this.#sourceEnded(source);
    this.#sources.add(source);
  }

  #makeGain(context: AudioContext, track: Track): GainNode {
    const gain = new GainNode(context, { gain: this.#gainOf(track) });
    gain.connect(context.destination);
    return gain;
  }

  #sourceEnded(source: AudioBufferSourceNode): void {
    this.#sources.delete(source);
    if (this.#sources.size > 0 || this.#state !== "playing") return;
    this.#from = this.#available;
    this.#stopClicks();
    this.#setState(this.#complete ? "paused" : "waiting");
  }

  #stopSources(): void {
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.#sources.clear();
    this.#stopClicks();
  }

  #gainOf(track: Track): number {
    const anySolo = [...this.#tracks.values()].some((other) => other.solo);
    return (anySolo ? track.solo : !track.mute) ? track.volume : 0;
  }

  #applyGains(): void {
    for (const track of this.#tracks.values()) {
      if (this.#context) track.gain?.gain.setTargetAtTime(this.#gainOf(track), this.#context.currentTime, GAIN_GLIDE);
    }
    this.#announce();
  }

  #setState(state: TransportState): void {
    this.#state = state;
    this.#announce();
  }

  #announce(): void {
    this.dispatchEvent(new Event("change"));
  }
}

async function toBuffer(sound: Sound): Promise<AudioBuffer> {
  const length = frameCount(sound);
  const buffer = new AudioBuffer({ length, numberOfChannels: sound.channels.length, sampleRate: sound.sampleRate });
  for (const [index, channel] of sound.channels.entries()) {
    for (let from = 0; from < length; from += COPY_FRAMES) {
      buffer.copyToChannel(channel.subarray(from, from + COPY_FRAMES) as Float32Array<ArrayBuffer>, index, from);
      await breathe();
    }
  }
  return buffer;
}
