import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { startOneServer } from "../../faults/one-server.ts";
import { random } from "../../faults/random.ts";
import { dueWindow, judgeReturns } from "../../faults/storm/returns.ts";
import { type Ending, runStorm } from "../../faults/storm/storm.ts";

// `npm run faults:storm` does it with 5,000 readers.

describe("a reconnect storm", () => {
  for (const ending of ["SIGTERM", "SIGKILL"] satisfies Ending[]) {
    it(`brings 300 readers back to the store's page after ${ending}, and asks the log for each cursor, not for each reader`, async () => {
      const outcome = await runStorm({ ending, readers: 300, postsPerSecond: 10, processes: 1 });
      expect(outcome.breaches).toEqual([]);
      expect(outcome.resets).toBe(0);
      expect(outcome.catchUps).toBeLessThanOrEqual(outcome.cursors);
      // Those that a server which dies has told nothing choose for themselves.
      if (ending === "SIGTERM") expect(outcome.returns?.peak).toBeGreaterThan(outcome.returns!.average);
      else expect(outcome.returns).toBeUndefined();
    }, 120_000);
  }
});

describe("the judge of how evenly readers come back", () => {
  /** So many readers, lost at one moment, that were told a window. */
  const told = (readers: number, [min, max]: readonly [number, number]) => {
    const { between } = random(readers);
    return judgeReturns(Array.from({ length: readers }, () => 1_000_000 + between(min, max)));
  };

  it("takes chance within the window that is due", () => {
    for (const readers of [20, 200, 300, 1_000, 5_000, 40_000]) {
      const { peak, average, breaches } = told(readers, dueWindow(readers));
      expect(breaches).toEqual([]);
      expect(peak).toBeGreaterThan(average);
    }
    // As docs/faults.md has it.
    expect([300, 5_000, 40_000].map(dueWindow)).toEqual([
      [500, 2_000],
      [500, 10_000],
      [500, 60_000],
    ]);
  });

  it("finds a window of nothing, one that does not grow, and one in which most choose the beginning", () => {
    expect(told(300, [0, 1]).breaches).toEqual(["300 readers come back within a second, for 250 at most"]);
    expect(told(5_000, [0, 1]).peak).toBe(5_000);
    expect(told(5_000, [500, 2_000]).breaches).toHaveLength(1);
    const early = Array.from({ length: 5_000 }, (_, n) => 500 + 9_500 * (n / 5_000) ** 2);
    expect(judgeReturns(early).breaches).toHaveLength(1);
  });

  it("looks at every second, also between the whole ones of a clock", () => {
    const even = Array.from({ length: 150 }, (_, n) => 500 + 10 * n);
    expect(judgeReturns(even).peak).toBe(100);
    const burst = Array.from({ length: 250 }, (_, n) => 950 + 0.4 * n);
    expect(judgeReturns([...even, ...burst]).breaches).toHaveLength(1);
  });
});

const mayWait = "/proc/sys/net/core/somaxconn";
const isRoomy = existsSync(mayWait) && Number(readFileSync(mayWait, "utf8")) >= 1_000;

describe("a server that is busy for a moment", () => {
  // Where net.core.somaxconn is smaller, the system itself lets fewer wait.
  it.runIf(isRoomy)("lets 800 newcomers wait at its door, because net.core.somaxconn allows it", async () => {
    const server = await startOneServer();
    try {
      server.signal("SIGSTOP");
      const sockets = Array.from({ length: 800 }, () => connect(server.port, "127.0.0.1"));
      await Promise.all(sockets.map((socket) => once(socket, "connect")));
      for (const socket of sockets) socket.destroy();
    } finally {
      await server.end();
    }
  });
});
