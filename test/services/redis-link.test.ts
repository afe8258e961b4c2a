import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { redisLink } from "../../src/services/redis-link.ts";
import { describeWith } from "../support/describe-with.ts";
import { type Service, startService } from "../support/services.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

describe("commands", () => {
  it("of which too many wait are refused, and none waits for ever", async () => {
    // It takes connections, and says nothing.
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    ends.push(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const link = redisLink({ url: `redis://127.0.0.1:${(silent.address() as AddressInfo).port}` }, "test");
    ends.push(() => link.close());
    const megabyte = "x".repeat(1_000_000);
    const sent = Array.from({ length: 20 }, () => link.send("key", ["SET", "key", megabyte]));
    const outcomes = await Promise.allSettled(sent);
    const reasons = outcomes.map((outcome) => (outcome.status === "rejected" ? String(outcome.reason) : ""));
    expect(reasons.filter((reason) => reason.includes("too much waits"))).toHaveLength(5);
    expect(reasons.filter((reason) => reason.includes("not connected within"))).toHaveLength(15);
  });

  describeWith("redis", () => {
    let server: Service;
    beforeAll(async () => {
      server = await startService("redis");
    });
    afterAll(() => server.close());

    it("wait for a client of the caller that is just connecting", async () => {
      const client = createClient({ url: server.url });
      const link = redisLink({ client }, "test");
      const sent = link.send("key", ["SET", "key", "value"]);
      await client.connect();
      ends.push(() => client.destroy());
      expect(await sent).toBe("OK");
    });

    it("that Redis refuses reject with its own error", async () => {
      const link = redisLink({ url: server.url }, "test");
      ends.push(() => link.close());
      await expect(link.send("key", ["LPUSH", "key", "value"])).rejects.toThrow("WRONGTYPE");
    });
  });
});
