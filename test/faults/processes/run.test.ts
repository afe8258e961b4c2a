import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FAULTS } from "../../../faults/processes/faults.ts";
import { runSchedule } from "../../../faults/processes/run-schedule.ts";
import { APART_MS, plan } from "../../../faults/processes/schedule.ts";
import { random } from "../../../faults/random.ts";
import { launchBrowser } from "../../support/browser.ts";
import { describeWith } from "../../support/describe-with.ts";
import type { BusKind } from "../../support/services.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

it("plans the same from the same seed: every fault before any comes twice, far enough apart", () => {
  const names = Object.keys(FAULTS);
  const planned = plan(random(7), 2 * names.length, 3, () => true);
  expect(plan(random(7), 2 * names.length, 3, () => true)).toEqual(planned);
  expect(plan(random(8), 2 * names.length, 3, () => true)).not.toEqual(planned);
  for (const half of [planned.slice(0, names.length), planned.slice(names.length)]) {
    expect(half.map(({ name }) => name).sort()).toEqual([...names].sort());
  }
  for (const { after } of planned) expect(after).toBeGreaterThanOrEqual(APART_MS);
});

/** A short one: `npm run faults` has more of all. */
const SHORT: Readonly<Record<BusKind, { seed: number; only: readonly string[] }>> = {
  redis: {
    seed: 1,
    only: ["server killed (SIGKILL)", "bus killed", "store stopped for a while", "readers move"],
  },
  nats: { seed: 2, only: ["server cut off from its readers", "bus repeats and reorders", "store killed"] },
  postgres: { seed: 3, only: ["server restarted (SIGTERM)", "bus stopped for a while", "readers stall"] },
  rabbitmq: {
    seed: 4,
    only: ["server's way to the bus frozen", "server stopped for a while (SIGSTOP)", "readers asleep"],
  },
};

const clean = { lost: [], doubled: [], outOfOrder: [], stale: [], wrongAnswers: [] };

for (const [bus, { seed, only }] of Object.entries(SHORT) as [BusKind, (typeof SHORT)[BusKind]][]) {
  describeWith("postgres", () => {
    describeWith(bus, () => {
      it(`every reader's page is the newsroom's while ${only.join(", ")} over ${bus}`, async () => {
        const told: string[] = [];
        const outcome = await runSchedule({
          bus,
          seed,
          only,
          faults: only.length,
          readers: 15,
          tabs: 1,
          browser,
          tell: (line) => told.push(line),
        });
        expect(outcome.verdict, told.join("\n")).toEqual(clean);
        expect(outcome.faults).toHaveLength(only.length);
        expect(outcome.changes).toBeGreaterThan(30);
      }, 240_000);
    });
  });
}

describeWith("postgres", () => {
  describeWith("redis", () => {
    it("readers and pages whose history was purged meanwhile fetch the page anew", async () => {
      const outcome = await runSchedule({
        bus: "redis",
        seed: 5,
        only: ["history purged"],
        faults: 2,
        readers: 15,
        tabs: 1,
        browser,
        tell() {},
      });
      expect(outcome.verdict).toEqual(clean);
      expect(outcome.resets).toBeGreaterThan(0);
      expect(outcome.pageResets).toBeGreaterThan(0);
    }, 240_000);
  });
});
