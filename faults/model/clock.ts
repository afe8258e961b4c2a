/**
 * Time that passes only when it is told to. While it is installed, timers, clocks and chance are the run's own: so a
 * run of minutes takes milliseconds, and comes out the same each time.
 */

interface Timer {
  readonly run: (...values: unknown[]) => void;
  readonly values: unknown[];
  readonly every: number | undefined;
  due: number;
  order: number;
  /** What Node's timers have. */
  ref(): Timer;
  unref(): Timer;
}

export interface Clock {
  /** Milliseconds since the run began. */
  now(): number;
  /** Lets so much time pass; all that falls due happens, each with all that follows from it at once. */
  advance(ms: number): Promise<void>;
  /** Resolves after `ms` of this time. */
  sleep(ms: number): Promise<void>;
  /** Runs `act` while the calendar, not the time, is `ms` ahead. */
  onDate<T>(ms: number, act: () => T): T;
  /** Gives the timers back that were there before. */
  uninstall(): void;
}

const BEGINNING = Date.UTC(2030, 0, 1);
const realImmediate = setImmediate;
/** All promises that can settle by themselves have. */
const turn = () => new Promise<void>((resolve) => void realImmediate(resolve));

/** @param afterEach called after each thing that happened. */
export function installClock(random: () => number, afterEach: () => void): Clock {
  let now = 0;
  let ahead = 0;
  let count = 0;
  const timers = new Set<Timer>();

  function add(run: Timer["run"], ms: number, values: unknown[], every?: number): Timer {
    const due = now + Math.max(0, Number.isFinite(ms) ? ms : 0);
    const timer: Timer = { run, values, every, due, order: count++, ref: () => timer, unref: () => timer };
    timers.add(timer);
    return timer;
  }

  function next(until: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.due > until) continue;
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order))
        first = timer;
    }
    return first;
  }

  const clear = (timer: unknown) => void timers.delete(timer as Timer);
  const replaced: (() => void)[] = [];
  const replace = (object: object, name: string, value: unknown) => {
    const before = Object.getOwnPropertyDescriptor(object, name);
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
    replaced.push(() => {
      if (before) Object.defineProperty(object, name, before);
      else Reflect.deleteProperty(object, name);
    });
  };
  replace(globalThis, "setTimeout", (run: Timer["run"], ms = 0, ...values: unknown[]) =>
    add(run, ms, values),
  );
  replace(globalThis, "setInterval", (run: Timer["run"], ms = 0, ...values: unknown[]) =>
    add(run, ms, values, Math.max(1, ms)),
  );
  replace(globalThis, "setImmediate", (run: Timer["run"], ...values: unknown[]) => add(run, 0, values));
  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) replace(globalThis, name, clear);
  replace(Date, "now", () => BEGINNING + now + ahead);
  replace(performance, "now", () => now);
  replace(Math, "random", random);
  replace(AbortSignal, "timeout", (ms: number) => {
    const abort = new AbortController();
    add(() => abort.abort(new DOMException("timed out", "TimeoutError")), ms, []);
    return abort.signal;
  });

  return {
    now: () => now,

    async advance(ms) {
      const until = now + ms;
      await turn();
      for (let timer = next(until); timer; timer = next(until)) {
        now = Math.max(now, timer.due);
        if (timer.every === undefined) timers.delete(timer);
        else {
          timer.due = now + timer.every;
          timer.order = count++;
        }
        timer.run(...timer.values);
        await turn();
        afterEach();
      }
      now = until;
    },

    sleep: (ms) => new Promise((resolve) => void add(() => resolve(), ms, [])),

    onDate(ms, act) {
      ahead = ms;
      try {
        return act();
      } finally {
        ahead = 0;
      }
    },

    uninstall() {
      for (const restore of replaced.reverse()) restore();
      timers.clear();
    },
  };
}
