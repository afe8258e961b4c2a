/** Readers that are looked at now and then: one timer for all of them, and none while there are none. */
export interface Periodic<T> extends Iterable<T> {
  add(each: T): void;
  delete(each: T): void;
}

export function periodic<T>(ms: number, look: (each: T) => void): Periodic<T> {
  const all = new Set<T>();
  let timer: NodeJS.Timeout | undefined;

  return {
    add(each) {
      all.add(each);
      timer ??= setInterval(() => {
        for (const one of all) look(one);
      }, ms).unref();
    },
    delete(each) {
      all.delete(each);
      if (all.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
    [Symbol.iterator]: () => all.values(),
  };
}
