import { expect, it } from "vitest";
import { toMarkdown } from "../../../faults/processes/report.ts";
import type { Outcome } from "../../../faults/processes/run-schedule.ts";

const outcome: Outcome = {
  bus: "redis",
  seed: 1,
  seconds: 60,
  changes: 10,
  repeatedRequests: 0,
  readers: 3,
  tabs: 1,
  reconnects: 2,
  resets: 0,
  faults: [],
  verdict: { lost: [], doubled: [], outOfOrder: [], stale: [], wrongAnswers: [] },
  peakMemory: { "tidings a": 2 ** 27 },
  leftOut: [],
};
/** Its first line. @param loads of the schedules; `undefined`: not kept */
const head = (...loads: (number | undefined)[]) =>
  toMarkdown({
    command: "npm run faults",
    machine: "2 cores",
    outcomes: loads.map((load) => (load === undefined ? outcome : { ...outcome, load })),
  }).split("\n")[0];

it("tells under which load the times were taken, least to most", () => {
  const means = "(over the last minute of each schedule)";
  expect(head(9.04, 25.5, undefined, 2.26)).toBe(
    `Made by \`npm run faults\` on 2 cores, at a load of 2.3 to 25.5 ${means}.`,
  );
  expect(head(2.26)).toBe(`Made by \`npm run faults\` on 2 cores, at a load of 2.3 ${means}.`);
});

it("leaves it out when no schedule has kept it", () => {
  expect(head(undefined)).toBe("Made by `npm run faults` on 2 cores.");
});

it("counts the resets of readers and of pages in Chromium, also where those were not counted yet", () => {
  const outcomes = [
    { ...outcome, resets: 3, pageResets: 2 },
    { ...outcome, resets: 4 },
  ];
  expect(toMarkdown({ command: "npm run faults", machine: "2 cores", outcomes })).toContain(
    "| redis | 2 | 0 | 20 | 8 | 4 | 9 |",
  );
});
