/**
 * Readers that come back all at once, in virtual time: each waits as the client does (`src/client/backoff.ts`, or within
 * the window of a `retry` frame), then asks a server by chance. A server takes so many each second, lets so many wait, and
 * refuses the others, who wait again.
 */
import { backoff } from "../src/client/backoff.ts";
import { seeded } from "./stats.ts";

export interface Storm {
  readonly readers: number;
  readonly servers: number;
  /** Readers that a server takes each second. */
  readonly takenPerSecond: number;
  /** Connections that wait at a server's door; more are refused. */
  readonly backlog: number;
  /** When each reader is cut off, in ms; default: all at 0. */
  readonly cutAt?: (reader: number) => number;
  /** From when on the servers are there, in ms; before, every attempt fails. */
  readonly backAt?: number;
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
  /** Attempts in all, for each reader. */
  readonly attempts: number;
  /** Attempts in each second. */
  readonly asked: readonly number[];
  /** Readers that came in, in each second. */
  readonly taken: readonly number[];
  /** The share of attempts, once the servers were there, that was refused. */
  readonly refused: number;
}

/** Two ms of virtual time: attempts of the same two are not told apart. */
const TICK_MS = 2;

export function simulate(storm: Storm): Outcome {
  const {
    readers,
    servers,
    takenPerSecond,
    backlog,
    cutAt = () => 0,
    backAt = 0,
    retry,
    wait = backoff,
  } = storm;
  const random = seeded(storm.seed ?? 1);
  const calendar = new Map<number, number[]>();
  let last = 0;
  const put = (reader: number, at: number) => {
    const tick = Math.ceil(at / TICK_MS);
    last = Math.max(last, tick);
    const due = calendar.get(tick);
    if (due) due.push(reader);
    else calendar.set(tick, [reader]);
  };
  const attempts = new Uint16Array(readers);
  for (let reader = 0; reader < readers; reader++) {
    const first = retry ? retry[0] + random() * (retry[1] - retry[0]) : wait(0, random);
    put(reader, cutAt(reader) + first);
    // The window does not count as an attempt that failed.
    attempts[reader] = retry ? 0 : 1;
  }

  const freeAt = new Float64Array(servers);
  const each = 1_000 / takenPerSecond;
  const [asked, taken, backTimes]: [number[], number[], number[]] = [[], [], []];
  let [total, late, refused] = [0, 0, 0];
  for (let tick = 0; tick <= last; tick++) {
    const due = calendar.get(tick);
    if (!due) continue;
    calendar.delete(tick);
    const now = tick * TICK_MS;
    for (const reader of due) {
      total++;
      count(asked, now);
      const server = Math.floor(random() * servers);
      const free = Math.max(freeAt[server]!, now) + each;
      const isThere = now >= backAt;
      if (isThere) late++;
      if (isThere && free - now <= backlog * each) {
        freeAt[server] = free;
        backTimes.push(free - cutAt(reader));
        count(taken, free);
      } else {
        if (isThere) refused++;
        put(reader, now + wait(attempts[reader]!++, random));
      }
    }
  }
  backTimes.sort((a, b) => a - b);
  return {
    half: backTimes[readers >> 1]!,
    most: backTimes[Math.floor(readers * 0.99)]!,
    all: backTimes.at(-1)!,
    attempts: total / readers,
    asked: Array.from(asked, (value) => value ?? 0),
    taken: Array.from(taken, (value) => value ?? 0),
    refused: late === 0 ? 0 : refused / late,
  };
}

function count(seconds: number[], ms: number): void {
  const second = Math.floor(ms / 1_000);
  seconds[second] = (seconds[second] ?? 0) + 1;
}
