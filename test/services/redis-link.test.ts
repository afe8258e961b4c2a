import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RedisConnection } from "../../src/services/redis-client.ts";
import { keepConnected, redisLink } from "../../src/services/redis-link.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { type Service, startService } from "../support/services.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

describe("a connection that is kept", () => {
  it("waits longer and longer between attempts, tells of its loss once, and stops at once", async () => {
    const attempts: number[] = [];
    const downs: unknown[] = [];
    const kept = keepConnected<RedisConnection>(
      () => {
        attempts.push(performance.now());
        return Promise.reject(new Error("refused"));
      },
      { up: () => {}, down: (error) => downs.push(error) },
    );
    await eventually(() => expect(attempts).toHaveLength(4));
    kept.stop();
    const waits = attempts.slice(1).map((time, n) => time - attempts[n]!);
    expect(waits[0]).toBeGreaterThan(45);
    expect(waits[2]).toBeGreaterThan(195);
    expect(downs).toEqual([new Error("refused")]);
  });

  it("ends the one it had before it opens another, and says when that one is ready", async () => {
    const events: string[] = [];
    let lose: (error: unknown) => void = () => {};
    let opened = 0;
    const kept = keepConnected<RedisConnection>(
      (onLost) => {
        const n = ++opened;
        lose = onLost;
        events.push(`open ${n}`);
        return { ready: Promise.resolve(), ping: async () => {}, destroy: () => events.push(`destroy ${n}`) };
      },
      { up: () => void events.push("up"), down: (error) => events.push(`down: ${(error as Error).message}`) },
    );
    await eventually(() => expect(events).toEqual(["open 1", "up"]));
    lose(new Error("cut"));
    await eventually(() =>
      expect(events).toEqual(["open 1", "up", "destroy 1", "down: cut", "open 2", "up"]),
    );
    kept.stop();
    await eventually(() => expect(events.at(-1)).toBe("destroy 2"));
  });
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
