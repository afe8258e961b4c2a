import { expect, it } from "vitest";
import { untilEqual } from "../../../faults/processes/equality.ts";
import { judge, type Standing, type Trace } from "../../../faults/processes/judge.ts";

const PATIENCE_MS = 120_000;
const STORE: readonly Standing[] = [["a", 0]];

/** Two readers, the second of which shows what the store has from a moment on. @returns what was seen, and when */
async function look(equalAt: number) {
  let time = 0;
  const traceOf = (reader: string, final: Trace["final"]): Trace => ({
    reader,
    steps: [],
    doubled: [],
    misplaced: [],
    away: [],
    final,
  });
  const traces = async () => [traceOf("one", STORE), traceOf("two", time >= equalAt ? STORE : [])];
  const seen = await untilEqual(traces, STORE, PATIENCE_MS, {
    now: () => time,
    async wait(ms) {
      if (time > 2 * PATIENCE_MS) throw new Error("nobody waits any more");
      time += ms;
    },
  });
  const ledger = new Map([["a", [{ kind: "shown", sent: 0, acknowledged: 0 }]]] as const);
  return { time, lost: judge({ ledger, store: STORE, traces: seen }).lost };
}

it("waits for the last reader to be equal, and no longer", async () => {
  expect(await look(0)).toEqual({ time: 0, lost: [] });
  expect(await look(90_000)).toEqual({ time: 90_000, lost: [] });
});

it("takes a reader that is equal at the last moment", async () => {
  expect(await look(PATIENCE_MS)).toEqual({ time: PATIENCE_MS, lost: [] });
});

it("waits no longer than its patience, and leaves to the judge who is not equal by then", async () => {
  const { time, lost } = await look(Number.POSITIVE_INFINITY);
  expect(lost).toEqual(["two: a is missing in the end"]);
  expect(time).toBeGreaterThan(PATIENCE_MS);
  expect(time).toBeLessThan(PATIENCE_MS + 1_000);
});
