import { Cluster, Redis } from "ioredis";
import { createClient, createCluster } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type RedisClient, redisLibrary } from "../../src/services/redis-client.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { type RedisServer, startRedisCluster } from "../support/redis-server.ts";

it("wants a URL of Redis, or a client that it knows", async () => {
  for (const url of [
    "",
    "127.0.0.1:6379",
    "http://127.0.0.1",
    "redis://[",
    "redis://h/abc",
    "redis://:%2@h",
  ]) {
    expect(() => redisLibrary({ url }, "test")).toThrow(expect.objectContaining({ code: "settings" }));
  }
  const client = { duplicate: () => ({}) };
  await expect(redisLibrary({ client }, "test")).rejects.toMatchObject({ code: "settings" });
});

describeWith("redis", () => {
  // One node that has all slots serves plain clients too.
  let server: RedisServer;
  const ends: (() => unknown)[] = [];
  beforeAll(async () => {
    server = await startRedisCluster();
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  afterAll(() => server.close());

  const clients: Record<string, () => RedisClient> = {
    "node-redis": () => createClient({ url: server.url }),
    "node-redis for a cluster": () => createCluster({ rootNodes: [{ url: server.url }] }),
    ioredis: () => new Redis(server.url, { lazyConnect: true }),
    "ioredis for a cluster": () => new Cluster([server.url], { lazyConnect: true }),
  };

  describe.for(Object.keys(clients))("%s", (name) => {
    async function opened() {
      const library = await redisLibrary({ client: clients[name]!() }, "test");
      const lost: unknown[] = [];
      const heard: string[][] = [];
      const commands = library.openCommands((error) => lost.push(error));
      const subscriptions = library.openSubscriptions(
        library.isCluster,
        (channel, data) => heard.push([channel, data.toString()]),
        (error) => lost.push(error),
      );
      ends.push(
        () => commands.destroy(),
        () => subscriptions.destroy(),
      );
      await Promise.all([commands.ready, subscriptions.ready]);
      return { library, commands, subscriptions, heard, lost };
    }

    it("says what it is, sends and hears, beside a client that is not connected itself", async () => {
      const { library, commands, subscriptions, heard } = await opened();
      expect(library.isCluster).toBe(name.endsWith("cluster"));
      expect(library.isReady()).toBe(false);
      await subscriptions.subscribe("channel");
      await subscriptions.ping();
      const publish = library.isCluster ? "SPUBLISH" : "PUBLISH";
      expect(Number(await commands.send("channel", [publish, "channel", "été"]))).toBe(1);
      await eventually(() => expect(heard).toEqual([["channel", "été"]]));
      await subscriptions.unsubscribe("channel");
      expect(Number(await commands.send("channel", [publish, "channel", "nobody"]))).toBe(0);
    });

    it("tells once of each connection that is lost, and does not connect again", async () => {
      const { commands, subscriptions, lost } = await opened();
      await subscriptions.subscribe("channel");
      await server.kill();
      await eventually(() => expect(lost).toHaveLength(2));
      await server.start();
      await expect(commands.send("key", ["GET", "key"])).rejects.toThrow();
      expect(lost).toHaveLength(2);
    });
  });
});
