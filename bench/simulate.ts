/**
 * Readers that come back all at once, in virtual time: each waits as the client does (`src/client/backoff.ts`, or within
 * the window of a `retry` frame), then asks a server by chance. A server takes so many each second and lets so many wait.
 * What comes to a full door gets no answer, as on Linux: the reader's system knocks again until the client gives up.
 */
import { backoff } from "../src/client/backoff.ts";
import { seeded } from "./stats.ts";

export interface Storm {
  readonly readers: number;
  readonly servers: number;
  /** Readers that a server takes each second. */
  readonly takenPerSecond: number;
  /** Connections that wait at a server's door; what more knocks is not heard. */
  readonly backlog: number;
  /** When each reader is cut off, in ms; default: all at 0. */
  readonly cutAt?: (reader: number) => number;
  /** From when on the servers are there, in ms. */
  readonly backAt?: number;
  /**
   * What an attempt before `backAt` meets. Where the machines stand, it is refused at once (the default); where nothing
   * answers, the client waits for it in vain.
   */
  readonly isSilent?: boolean;
  /** The window that readers were told in ms (the first wait); then they back off. */
  readonly retry?: readonly [min: number, max: number];
  /** Another wait than the client's, to compare. */
  readonly wait?: (attempt: number, random: () => number) => number;
  readonly seed?: number;
}

export interface Outcome {
  /** Milliseconds from when a reader was cut off until it is back: the half of them that waits least, 99 %, all. */
  readonly half: number;
  readonly most: number;
  readonly all: number;
  /** Attempts of a client in all, for each reader. */
  readonly attempts: number;
  /** Knocks in each second: each attempt's first, and those with which the system repeats it while nothing answers. */
  readonly knocks: readonly number[];
  /** Readers that came in, in each second. */
  readonly taken: readonly number[];
  /** The share of knocks, once the servers were there, that came to a full door. */
  readonly unheard: number;
}

/** Two ms of virtual time: attempts of the same two are not told apart. */
const TICK_MS = 2;
/** As in src/client/fallback.ts: an attempt that has not opened by then is given up. */
const OPENS_MS = 10_000;
/** When the system knocks again, counted from an attempt's first knock (RFC 6298: after a second, then twice as long). */
const KNOCKS_AGAIN_MS = [1_000, 3_000, 7_000] as const;

export function simulate(storm: Storm): Outcome {
  const {
    readers,
    servers,
    takenPerSecond,
    backlog,
    cutAt = () => 0,
    backAt = 0,
    isSilent = false,
    retry,
    wait = backoff,
  } = storm;
  const random = seeded(storm.seed ?? 1);
  const calendar = new Map<number, number[]>();
  let last = 0;
  const put = (reader: number, at: number) => {
    // Never the present one, which is not looked at again.
    const tick = Math.floor(at / TICK_MS) + 1;
    last = Math.max(last, tick);
    const due = calendar.get(tick);
    if (due) due.push(reader);
    else calendar.set(tick, [reader]);
  };
  const failures = new Uint16Array(readers);
  /** Of the attempt that a reader is at: how often it knocked, when first, and where. */
  const knocked = new Uint8Array(readers);
  const since = new Float64Array(readers);
  const door = new Uint16Array(readers);
  for (let reader = 0; reader < readers; reader++) {
    const first = retry ? retry[0] + random() * (retry[1] - retry[0]) : wait(0, random);
    put(reader, cutAt(reader) + first);
    // The window does not count as an attempt that failed.
    failures[reader] = retry ? 0 : 1;
  }

  const freeAt = new Float64Array(servers);
  const each = 1_000 / takenPerSecond;
  const [knocks, taken, backTimes]: [number[], number[], number[]] = [[], [], []];
  let [attempts, heardOrNot, unheard] = [0, 0, 0];
  const fail = (reader: number, at: number) => {
    knocked[reader] = 0;
    put(reader, at + wait(failures[reader]!++, random));
  };
  const knockAgain = (reader: number) => {
    const next = KNOCKS_AGAIN_MS[knocked[reader]! - 1];
    if (next === undefined) fail(reader, since[reader]! + OPENS_MS);
    else put(reader, since[reader]! + next);
  };
  for (let tick = 0; tick <= last; tick++) {
    const due = calendar.get(tick);
    if (!due) continue;
    calendar.delete(tick);
    const now = tick * TICK_MS;
    for (const reader of due) {
      count(knocks, now);
      if (knocked[reader]!++ === 0) {
        attempts++;
        since[reader] = now;
        door[reader] = Math.floor(random() * servers);
      }
      if (now < backAt) {
        if (isSilent) knockAgain(reader);
        else fail(reader, now);
        continue;
      }
      heardOrNot++;
      const server = door[reader]!;
      const free = Math.max(freeAt[server]!, now) + each;
      if (free - now > backlog * each) {
        unheard++;
        knockAgain(reader);
        continue;
      }
      // Also for one that will have given up by then: the server does not know before it looks.
      freeAt[server] = free;
      if (free > since[reader]! + OPENS_MS) {
        fail(reader, since[reader]! + OPENS_MS);
        continue;
      }
      backTimes.push(free - cutAt(reader));
      count(taken, free);
    }
  }
  backTimes.sort((a, b) => a - b);
  return {
    half: backTimes[readers >> 1]!,
    most: backTimes[Math.floor(readers * 0.99)]!,
    all: backTimes.at(-1)!,
    attempts: attempts / readers,
    knocks: Array.from(knocks, (value) => value ?? 0),
    taken: Array.from(taken, (value) => value ?? 0),
    unheard: heardOrNot === 0 ? 0 : unheard / heardOrNot,
  };
}

function count(seconds: number[], ms: number): void {
  const second = Math.floor(ms / 1_000);
  seconds[second] = (seconds[second] ?? 0) + 1;
}
