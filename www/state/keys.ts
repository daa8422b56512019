import type { Studio } from "./studio.js";

/** A key and what it does, as the list of keys shows it. */
export const KEYS: readonly (readonly [string, string])[] = [
  ["Space", "play or pause"],
  ["← →", "5 seconds back or on"],
  ["Page Up, Page Down", "15 seconds back or on"],
  ["Home, End", "beginning, end"],
  ["← → ↑ ↓ on the fingerprint", "from peak to peak"],
  ["1 to 5", "choose a track"],
  ["S", "solo the chosen track"],
  ["M", "mute the chosen track"],
  ["Escape", "cancel what is running"],
  ["?", "this list"],
];

/** What the keys need of the page beyond the studio. */
export interface KeyTargets {
  /** Names of the tracks in the order shown. */
  readonly trackNames: () => readonly string[];
  /** Marks a track as chosen. */
  readonly choose: (name: string) => void;
  readonly showList: () => void;
  /** Whether single letters and digits are keys. */
  readonly lettersOn: () => boolean;
}

const LANE_KEYS: Readonly<Record<string, (position: number, duration: number) => number>> = {
  ArrowLeft: (position) => position - 5,
  ArrowRight: (position) => position + 5,
  PageUp: (position) => position - 15,
  PageDown: (position) => position + 15,
  Home: () => 0,
  End: (_, duration) => duration,
};

/** Listens to the keys of the whole page. Keys inside fields and those that a focused control needs itself are left alone. */
export function listenToKeys(studio: Studio, targets: KeyTargets): void {
  let chosen: string | null = null;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("dialog[open]")) return;
    if (event.key === "Escape") {
      studio.jobs.cancelAll();
      return;
    }
    if (target?.closest("input, select, textarea")) return;
    const { transport } = studio;
    const move = LANE_KEYS[event.key];
    if (move && transport.duration > 0 && !target?.closest(".scroll")) {
      event.preventDefault();
      transport.seek(move(transport.position, transport.duration));
      return;
    }
    if (event.key === " " && transport.duration > 0 && !target?.closest("button, summary, a")) {
      event.preventDefault();
      transport.toggle();
      return;
    }
    if (!targets.lettersOn()) return;
    if (event.key === "?") {
      targets.showList();
      return;
    }
    const name = targets.trackNames()[Number(event.key) - 1];
    if (/^[1-5]$/.test(event.key) && name) {
      chosen = name;
      targets.choose(name);
      return;
    }
    const key = event.key.toLowerCase();
    if (!chosen || (key !== "s" && key !== "m")) return;
    studio.adoptStems();
    if (key === "s") transport.toggleSolo(chosen);
    else transport.toggleMute(chosen);
  });
}
