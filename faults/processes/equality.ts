/** Waits for readers to have what the store has. */
import { setTimeout as wait } from "node:timers/promises";
import type { Standing, Trace } from "./judge.ts";

/** Traces, once all readers show what the store has; or as they are when the time is over. */
export async function untilEqual(
  traces: () => Promise<Trace[]>,
  store: readonly Standing[],
  patienceMs: number,
): Promise<Trace[]> {
  const due = JSON.stringify(store);
  const end = Date.now() + patienceMs;
  for (;;) {
    const seen = await traces();
    if (seen.every(({ final }) => JSON.stringify(final) === due) || Date.now() > end) return seen;
    await wait(500);
  }
}
