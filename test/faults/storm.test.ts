import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { startOneServer } from "../../faults/one-server.ts";
import { type Ending, runStorm } from "../../faults/storm/storm.ts";

// `npm run faults:storm` does it with 5,000 readers.

describe("a reconnect storm", () => {
  for (const ending of ["SIGTERM", "SIGKILL"] satisfies Ending[]) {
    it(`brings 300 readers back to the store's page after ${ending}, and asks the log for each cursor, not for each reader`, async () => {
      const outcome = await runStorm({ ending, readers: 300, postsPerSecond: 10, processes: 1 });
      expect(outcome.breaches).toEqual([]);
      expect(outcome.resets).toBe(0);
      expect(outcome.catchUps).toBeLessThanOrEqual(outcome.cursors);
    }, 120_000);
  }
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
