/** Readers that are looked at now and then: one timer for all of them, and none while there are none. */
export interface Periodic<T> extends Iterable<T> {
  add(each: T): void;
  delete(each: T): void;
}

/** So many milliseconds are from one part of them to the next. */
const APART_MS = 1_000;

/**
 * Looks at each once in `ms`, for the first time within that, and at a part of them at a time: at all of them at once 20,000
 * pings would hold up an update for a fifth of a second.
 */
export function periodic<T>(ms: number, look: (each: T) => void): Periodic<T> {
  const parts = Math.max(1, Math.floor(ms / APART_MS));
  /** Each with its part. */
  const all = new Map<T, number>();
  let part = 0;
  /** How many have come: in turn, not by when, for those who lost their server come back together. */
  let came = 0;
  let timer: NodeJS.Timeout | undefined;

  function lookAtNext(): void {
    part = (part + 1) % parts;
    for (const [each, its] of all) if (its === part) look(each);
  }

  return {
    add(each) {
      all.set(each, came++ % parts);
      timer ??= setInterval(lookAtNext, ms / parts).unref();
    },
    delete(each) {
      all.delete(each);
      if (all.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
    [Symbol.iterator]: () => all.keys(),
  };
}
