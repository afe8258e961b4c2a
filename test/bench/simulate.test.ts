import { describe, expect, it } from "vitest";
import { simulate } from "../../bench/simulate.ts";

const SITE = { readers: 10_000, servers: 10, takenPerSecond: 2_500, backlog: 100 };

describe("the simulation of a reconnect storm", () => {
  it("brings every reader back, once", () => {
    const { taken, attempts, unheard } = simulate({ ...SITE, servers: 2, backAt: 1_000 });
    expect(taken.reduce((a, b) => a + b)).toBe(SITE.readers);
    expect(attempts).toBeGreaterThan(1);
    expect(unheard).toBeGreaterThan(0);
  });

  it("waits within the window of a retry frame", () => {
    const { knocks, all, attempts } = simulate({ ...SITE, retry: [1_000, 5_000] });
    expect(knocks[0]).toBe(0);
    expect(Math.max(...knocks)).toBeLessThan(SITE.readers / 3);
    expect(all).toBeGreaterThan(4_900);
    expect(all).toBeLessThan(5_100);
    expect(attempts).toBe(1);
  });

  it("counts each reader's time from when it was cut off itself", () => {
    const cutAt = (reader: number) => (reader % 10) * 60_000;
    expect(simulate({ ...SITE, cutAt, retry: [500, 2_000] }).all).toBeLessThan(2_500);
  });

  it("takes no more than the servers can", () => {
    const { all, attempts } = simulate({ ...SITE, servers: 1, takenPerSecond: 1_250, backlog: 100_000 });
    expect(all).toBeGreaterThan(8_000);
    expect(all).toBeLessThan(8_600);
    expect(attempts).toBe(1);
  });

  it("hears nothing at a full door: the reader's system knocks again after 1, 3 and 7 s, within one attempt", () => {
    const one = { readers: 3, servers: 1, takenPerSecond: 1_000, backlog: 1, wait: () => 0 };
    const { knocks, attempts, unheard, all } = simulate(one);
    // One comes in at each time: the others' systems knock again.
    expect(knocks).toEqual([3, 2, 0, 1]);
    expect(attempts).toBe(1);
    expect(unheard).toBe(0.5);
    expect(all).toBeGreaterThan(3_000);
    expect(all).toBeLessThan(3_010);
  });

  it("gives up after 10 s at a full door, and waits before it tries again", () => {
    const one = { readers: 5, servers: 1, takenPerSecond: 1_000, backlog: 1, wait: () => 500 };
    const { knocks, attempts, all } = simulate(one);
    expect(knocks).toEqual([5, 4, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1]);
    expect(attempts).toBe(1.2);
    expect(all).toBeGreaterThan(11_000);
    expect(all).toBeLessThan(11_010);
  });

  it("gives up in a queue that is longer than its patience, and costs the server its turn", () => {
    const { attempts, all } = simulate({ ...SITE, servers: 1, takenPerSecond: 500, backlog: 100_000 });
    expect(attempts).toBeGreaterThan(1.4);
    expect(all).toBeGreaterThan(25_000);
  });

  it("is refused at once by a machine that stands, and waits in vain where nothing answers", () => {
    const outage = { ...SITE, readers: 100, backAt: 9_000, wait: () => 500 };
    const refused = simulate(outage);
    expect(refused.attempts).toBeGreaterThan(15);
    expect(refused.all).toBeLessThan(9_700);
    const silent = simulate({ ...outage, isSilent: true });
    // Its knock after 7 s is lost, too; the attempt ends after 10.
    expect(silent.attempts).toBe(2);
    expect(silent.knocks).toEqual([100, 100, 0, 100, 0, 0, 0, 100, 0, 0, 0, 100]);
    expect(silent.all).toBeGreaterThan(11_000);
    // One that the cut ends in the middle of comes in at the next knock.
    const short = simulate({ ...outage, backAt: 2_000, isSilent: true });
    expect(short.attempts).toBe(1);
    expect(short.all).toBeLessThan(3_700);
  });

  it("shows what back-off is for", () => {
    const backsOff = simulate({ ...SITE, backAt: 30_000 });
    const insists = simulate({ ...SITE, backAt: 30_000, wait: () => 1_000 });
    expect(backsOff.attempts).toBeLessThan(insists.attempts / 3);
  });
});
