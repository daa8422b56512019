/** Minutes and seconds for a clock: `1:03.4`. */
export function clock(seconds: number): string {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const minutes = Math.floor(tenths / 600);
  const rest = tenths - minutes * 600;
  return `${minutes}:${String(Math.floor(rest / 10)).padStart(2, "0")}.${rest % 10}`;
}

/** A time in words, for screen readers: `1 minute 3 seconds`. */
export function spokenTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = whole % 60;
  const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  if (minutes === 0) return counted(rest, "second");
  return rest === 0 ? counted(minutes, "minute") : `${counted(minutes, "minute")} ${counted(rest, "second")}`;
}

/** A number of bytes with a unit: `2.9 MB`. */
export function byteSize(bytes: number): string {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A fraction as whole percent: `87 %`; what is short of the whole is not rounded up to it. */
export function percent(fraction: number): string {
  const whole = Math.round(fraction * 100);
  return whole === 100 && fraction < 1 ? ">\u00a099\u00a0%" : `${whole}\u00a0%`;
}

/** A peak of a fingerprint: `Peak at 0:03.2, 1,234 Hz`, and with how many later ones it is paired, where that is known. */
export function peakInWords(seconds: number, hertz: number, pairs: number | null): string {
  const place = `Peak at ${clock(seconds)}, ${Math.round(hertz).toLocaleString("en")}\u00a0Hz`;
  if (pairs === null) return place;
  return `${place}, paired with ${pairs === 0 ? "no" : pairs} later peak${pairs === 1 ? "" : "s"}`;
}

/** A stem's name as a title: `Vocals`. */
export function stemTitle(name: string): string {
  if (name === "fx") return "Effects";
  return name.charAt(0).toUpperCase() + name.slice(1);
}
