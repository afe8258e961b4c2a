/** Waits for readers to have what the store has. */
import { setTimeout as wait } from "node:timers/promises";
import type { Standing, Trace } from "./judge.ts";

const LOOKED_AT_MS = 500;

/** Where time comes from: of a test, at once. */
export interface Clock {
  now(): number;
  wait(ms: number): Promise<unknown>;
}

/** Traces, once all readers show what the store has; or as they are at the first look after the time is over. */
export async function untilEqual(
  traces: () => Promise<Trace[]>,
  store: readonly Standing[],
  patienceMs: number,
  clock: Clock = { now: Date.now, wait },
): Promise<Trace[]> {
  const due = JSON.stringify(store);
  const end = clock.now() + patienceMs;
  for (;;) {
    const seen = await traces();
    if (seen.every(({ final }) => JSON.stringify(final) === due) || clock.now() > end) return seen;
    await clock.wait(LOOKED_AT_MS);
  }
}
