/** Readers that are looked at now and then: one timer for all of them, and none while there are none. */
export interface Periodic<T> extends Iterable<T> {
  add(each: T): void;
  delete(each: T): void;
}

/** Those who came within so many milliseconds are looked at together. */
const TOGETHER_MS = 1_000;

/**
 * Looks at each once in `ms`, by when it came: at all of them at once 20,000 pings would hold up an update for a fifth of a
 * second.
 */
export function periodic<T>(ms: number, look: (each: T) => void): Periodic<T> {
  const parts = Math.max(1, Math.floor(ms / TOGETHER_MS));
  /** Each with its part. */
  const all = new Map<T, number>();
  let part = 0;
  let timer: NodeJS.Timeout | undefined;

  function lookAtNext(): void {
    part = (part + 1) % parts;
    for (const [each, its] of all) if (its === part) look(each);
  }

  return {
    add(each) {
      all.set(each, part);
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
