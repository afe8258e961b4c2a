import { describe, expect, it } from "vitest";
import { simulate } from "../../bench/storm.ts";

const SITE = { readers: 10_000, servers: 10, takenPerSecond: 2_500, backlog: 100 };

describe("the simulation of a reconnect storm", () => {
  it("brings every reader back, once", () => {
    const { taken, attempts, refused } = simulate({ ...SITE, servers: 2, backAt: 1_000 });
    expect(taken.reduce((a, b) => a + b)).toBe(SITE.readers);
    expect(attempts).toBeGreaterThan(1);
    expect(refused).toBeGreaterThan(0);
  });

  it("waits within the window of a retry frame", () => {
    const { asked, all, attempts } = simulate({ ...SITE, retry: [1_000, 5_000] });
    expect(asked[0]).toBe(0);
    expect(Math.max(...asked)).toBeLessThan(SITE.readers / 3);
    expect(all).toBeGreaterThan(4_900);
    expect(all).toBeLessThan(5_100);
    expect(attempts).toBe(1);
  });

  it("counts each reader's time from when it was cut off itself", () => {
    const cutAt = (reader: number) => (reader % 10) * 60_000;
    expect(simulate({ ...SITE, cutAt, retry: [500, 2_000] }).all).toBeLessThan(2_500);
  });

  it("takes no more than the servers can", () => {
    const { all } = simulate({ ...SITE, servers: 1, takenPerSecond: 1_000, backlog: 100_000 });
    expect(all).toBeGreaterThan(10_000);
    expect(all).toBeLessThan(10_600);
  });

  it("shows what back-off is for", () => {
    const backsOff = simulate({ ...SITE, backAt: 30_000 });
    const insists = simulate({ ...SITE, backAt: 30_000, wait: () => 1_000 });
    expect(backsOff.attempts).toBeLessThan(insists.attempts / 3);
  });
});
