import { inUseError } from "./adapter.js";

/** Milliseconds to wait for another holder: a page that is being left lets go a moment after the next one has begun. */
const PATIENCE_MS = 1500;

/** The lock of a catalogue among all pages and workers of an origin. Released by calling what it gives, or when this worker ends. */
export async function takeLock(name: string): Promise<() => void> {
  const { locks } = globalThis.navigator;
  return new Promise((resolve, reject) => {
    const request = locks.request(`otolith-catalog-${name}`, { signal: AbortSignal.timeout(PATIENCE_MS) }, () => {
      return new Promise<void>((release) => resolve(release));
    });
    request.catch((cause: unknown) => reject(inUseError(name, "another tab or worker", cause)));
  });
}

/** Tries `action` again while another holder may be about to let go. */
export async function patiently<T>(action: () => Promise<T>, isInUse: (thrown: unknown) => boolean): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await action();
    } catch (thrown) {
      if (!isInUse(thrown) || performance.now() > end) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
