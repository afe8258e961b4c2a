import { expect, it } from "vitest";
import { runDeploy } from "../../faults/deploy/deploy.ts";
import { describeWith } from "../support/describe-with.ts";

// `npm run faults:deploy` does it with 200 readers, and shows what is refused without TIDINGS_DRAIN_SECONDS.

/** Beyond the window that readers were told: on a machine that is busy with other tests. */
const ALLOWANCE_MS = 15_000;

describeWith("postgres", () => {
  describeWith("redis", () => {
    describeWith("haproxy", () => {
      it("a rolling deploy of three servers under load refuses no post, loses no reader, and leaves none behind for longer than it was told", async () => {
        const outcome = await runDeploy({
          drainSeconds: 3,
          checkMs: 300,
          readers: 30,
          reporters: 5,
          allowanceMs: ALLOWANCE_MS,
          seed: 1,
        });
        expect(outcome.breaches).toEqual([]);
        expect([outcome.refused, outcome.unanswered, outcome.lost]).toEqual([0, 0, 0]);
        // All were sent away at least once, and came back.
        expect(outcome.servers).toHaveLength(3);
        expect(outcome.windowMs).toBeGreaterThan(0);
        expect(outcome.staleMs.last).toBeLessThanOrEqual(outcome.windowMs + ALLOWANCE_MS);
        expect(outcome.changes).toBeGreaterThan(50);
      }, 180_000);
    });
  });
});
