import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { inspect } from "node:util";
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Bus } from "../../src/buses/bus.ts";
import { type RedisBusOptions, redisBus } from "../../src/buses/redis.ts";
import type { Announcement, Entry } from "../../src/protocol.ts";
import { busSuite } from "../../src/testing/bus-suite.ts";
import { eventually, type Made } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { outageTests } from "../support/outages.ts";
import { type RedisServer, startRedisCluster } from "../support/redis-server.ts";
import { type Service, startService } from "../support/services.ts";

const quiet = { onError: () => {} };
const entry = (seq: number): Entry => ({
  renders: new Map([["7", { show: true, content: "<p>Goal!</p>", at: seq }]]),
  removals: [],
  cursor: `e.${seq}`,
});

describeWith("redis", () => {
  let server: Service;
  const ends: (() => unknown)[] = [];
  beforeAll(async () => {
    server = await startService("redis");
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  afterAll(() => server.close());

  async function nodeRedis() {
    const client = createClient({ url: server.url });
    client.on("error", () => {});
    await client.connect();
    ends.push(() => client.destroy());
    return client;
  }

  function ioredis() {
    const client = new Redis(server.url);
    client.on("error", () => {});
    ends.push(() => client.disconnect());
    return client;
  }

  /** As it is while its server is away, too. */
  function connecting(client: ReturnType<typeof createClient>) {
    client.on("error", () => {});
    client.connect().catch(() => {});
    ends.push(() => client.destroy());
    return client;
  }

  function opened(options: Partial<RedisBusOptions> = {}): Bus {
    const bus = redisBus({
      ...("client" in options ? {} : { url: server.url }),
      ...quiet,
      ...options,
    } as RedisBusOptions);
    ends.push(() => bus.close());
    return bus;
  }

  describe("from a URL", () => {
    busSuite(
      { describe, it },
      made(() => ({ url: server.url })),
    );
  });

  describe("with a client of node-redis", () => {
    busSuite(
      { describe, it },
      made(async () => ({ client: await nodeRedis() })),
    );
  });

  describe("with a client of ioredis", () => {
    busSuite(
      { describe, it },
      made(() => ({ client: ioredis() })),
    );
  });

  describe("sharded, on one server", () => {
    busSuite(
      { describe, it },
      made(() => ({ url: server.url, sharded: true })),
    );
  });

  it("speaks Wagtail Live's channels", async () => {
    const bus = opened();
    const heard: Announcement[] = [];
    await bus.subscribe("été", (announcement) => heard.push(announcement));
    const other = await nodeRedis();
    expect(await other.pubSubChannels("*")).toEqual(["group_été"]);
    await other.publish("group_été", '{"renders":{},"removals":["7"],"cursor":"e.1"}');
    await eventually(() => expect(heard).toEqual([{ renders: new Map(), removals: ["7"], cursor: "e.1" }]));
  });

  it("reports a message that is none, and goes on", async () => {
    const errors: unknown[] = [];
    const bus = opened({
      onError: (error, context) => errors.push({ code: (error as { code?: string }).code, ...context }),
    });
    const heard: Announcement[] = [];
    await bus.subscribe("finals", (announcement) => heard.push(announcement));
    const other = await nodeRedis();
    for (const text of ["no JSON", '{"renders":{},"removals":[]}']) await other.publish("group_finals", text);
    await bus.publish("finals", entry(1));
    await eventually(() => expect(heard).toEqual([entry(1)]));
    expect(errors).toEqual(Array(2).fill({ code: "invalid", stage: "message" }));
  });

  it("leaves nothing behind on the server, and holds two connections however much goes through", async () => {
    const admin = await nodeRedis();
    const connections = async () => (await admin.clientList()).length;
    const before = await connections();
    const bus = opened();
    const names = Array.from({ length: 10_000 }, (_, n) => `channel ${n}`);
    const unsubscribes = await Promise.all(names.map((name) => bus.subscribe(name, () => {})));
    await Promise.all(names.slice(0, 100).map((name) => bus.publish(name, entry(1))));
    expect(await admin.pubSubChannels("*")).toHaveLength(10_000);
    expect(await connections()).toBe(before + 2);
    await Promise.all(unsubscribes.map((unsubscribe) => unsubscribe()));
    expect(await admin.pubSubChannels("*")).toEqual([]);
    await bus.close();
    await eventually(async () => expect(await connections()).toBe(before));
  });

  it("closes only what it opened", async () => {
    const [client, other] = [await nodeRedis(), ioredis()];
    await opened({ client } as Partial<RedisBusOptions>).close();
    await opened({ client: other } as Partial<RedisBusOptions>).close();
    expect([await client.ping(), await other.ping()]).toEqual(["PONG", "PONG"]);
  });

  it("takes a URL or a client, and never shows a password", async () => {
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    for (const url of ["http://:sesame@127.0.0.1", "redis://:sesame@["]) {
      expect(() => redisBus({ url })).toThrow("[redis bus] the URL must be redis://… or rediss://…");
    }
    expect(() => redisBus({} as RedisBusOptions)).toThrow("give either url or client");
    const strange = opened({ client: { duplicate: () => ({}) } } as Partial<RedisBusOptions>);
    await expect(strange.subscribe("finals", () => {})).rejects.toMatchObject({ code: "settings" });
    for (const url of ["redis://:sesame@127.0.0.1:1", server.url.replace("//", "//nobody:sesame@")]) {
      await opened({ url, onError } as Partial<RedisBusOptions>).publish("finals", entry(1));
    }
    // Its client is let in, the connection like the client's is not.
    const admin = await nodeRedis();
    await admin.aclSetUser("once", ["on", ">sesame", "+@all"]);
    const client = new Redis(server.url.replace("//", "//once:sesame@"));
    client.on("error", () => {});
    ends.push(() => client.disconnect());
    await once(client, "ready");
    await admin.aclSetUser("once", ["resetpass"]);
    opened({ client, onError } as Partial<RedisBusOptions>);
    await eventually(() => expect(errors.length).toBeGreaterThanOrEqual(3));
    expect(errors.every((error) => (error as { code?: string }).code === "unavailable")).toBe(true);
    expect(errors.map(String).filter((text) => text.includes("WRONGPASS"))).toHaveLength(2);
    expect(inspect(errors, { depth: null, showHidden: true })).not.toContain("sesame");
  });

  describe.for([
    ["from a URL", () => ({ url: server.url })],
    ["with a client of node-redis", async () => ({ client: await nodeRedis() })],
    ["with a client of ioredis", () => ({ client: ioredis() })],
  ] as const)("%s", ([, options]) => {
    it("says when the server is lost, and comes back with all its channels when it is there again", async () => {
      const bus = opened((await options()) as Partial<RedisBusOptions>);
      const statuses: string[] = [];
      bus.onStatus!((status) => statuses.push(status));
      const heard = new Map<string, string[]>();
      const names = Array.from({ length: 100 }, (_, n) => `channel ${n}`);
      const hear =
        (name: string) =>
        ({ cursor }: Announcement) =>
          heard.set(name, [...(heard.get(name) ?? []), cursor]);
      for (const name of names) await bus.subscribe(name, hear(name));
      await bus.publish(names[0]!, entry(1));
      await eventually(() => expect(heard.get(names[0]!)).toEqual(["e.1"]));

      await server.kill();
      await eventually(() => expect(statuses).toEqual(["down"]));
      await bus.publish(names[0]!, entry(2)); // no exception, whatever becomes of it
      const late = bus.subscribe("late", hear("late"));
      await server.start();
      await eventually(() => expect(statuses).toEqual(["down", "up"]));
      await late;
      // The other connection may still be on its way; what it does not bring the log has.
      await eventually(async () => {
        await bus.publish("late", entry(3));
        expect(heard.get("late")).toBeDefined();
      });
      for (const name of names) await bus.publish(name, entry(3));
      await eventually(() =>
        expect([...heard.values()].filter((cursors) => cursors.includes("e.3"))).toHaveLength(101),
      );
      // A caller's client may send e.2 when it is connected again: late, and allowed.
      expect(heard.get(names[0]!)!.filter((cursor) => cursor !== "e.2")).toEqual(["e.1", "e.3"]);
    });
  });

  describe.for([
    ["from a URL", () => ({ url: server.url })],
    ["with a client of node-redis", () => ({ client: connecting(createClient({ url: server.url })) })],
    ["with a client of ioredis", () => ({ client: ioredis() })],
  ] as const)("%s, through outages", ([, options]) => {
    outageTests(
      () => server,
      async (onError) => redisBus({ ...options(), onError } as RedisBusOptions),
      15_000,
    );
  });

  it("notices a server that falls silent while channels are taken up again", async () => {
    const sockets = new Set<Socket>();
    let isSilent = false;
    const swallowed = Promise.withResolvers<void>();
    const way = createServer((near) => {
      const far = connect(server.port, "127.0.0.1");
      let takes = true;
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        socket.on("error", () => {}).on("close", () => other.destroy());
        sockets.add(socket);
      }
      near.on("data", (data) => {
        if (isSilent && /subscribe/i.test(String(data))) takes = false;
        if (takes) far.write(data);
        else swallowed.resolve();
      });
      far.pipe(near);
    }).listen(0, "127.0.0.1");
    await once(way, "listening");
    ends.push(() => way.close());
    const bus = opened({ url: `redis://127.0.0.1:${(way.address() as AddressInfo).port}` });
    const statuses: string[] = [];
    bus.onStatus!((status) => statuses.push(status));
    await bus.subscribe("finals", () => {});
    isSilent = true;
    for (const socket of sockets) socket.destroy();
    await eventually(() => expect(statuses).toEqual(["down"]));
    await swallowed.promise;
    isSilent = false;
    await eventually(() => expect(statuses).toEqual(["down", "up"]), 20_000);
  }, 30_000);

  it("opens nothing before the caller's client is connected", async () => {
    const client = createClient({ url: server.url });
    client.on("error", () => {});
    const admin = await nodeRedis();
    const before = (await admin.clientList()).length;
    const bus = opened({ client } as Partial<RedisBusOptions>);
    const subscribed = bus.subscribe("finals", () => {});
    for (let n = 0; n < 50; n++) expect((await admin.clientList()).length).toBe(before);
    await client.connect();
    ends.push(() => client.destroy());
    await subscribed;
    expect((await admin.clientList()).length).toBe(before + 2);
  });

  it("close() lets out what was announced just now", async () => {
    const [from, to] = [opened(), opened()];
    const heard: string[] = [];
    await to.subscribe("finals", ({ cursor }) => heard.push(cursor));
    await from.publish("finals", entry(0));
    for (let n = 1; n < 50; n++) void from.publish("finals", entry(n));
    await from.close();
    await eventually(() => expect(heard).toHaveLength(50));
  });

  it("tells once a second what Redis refuses to publish, in its words", async () => {
    const admin = await nodeRedis();
    await admin.aclSetUser("silent", ["on", ">sesame", "+@all", "allchannels", "-publish"]);
    const errors: unknown[] = [];
    const url = server.url.replace("//", "//silent:sesame@");
    const bus = opened({ url, onError: (error) => errors.push(error) });
    for (let n = 0; n < 100; n++) await bus.publish("finals", entry(n));
    await eventually(() => expect(errors).not.toEqual([]));
    await bus.subscribe("finals", () => {});
    expect(errors.map(String)).toEqual([expect.stringContaining("Redis refused: NOPERM")]);
    await admin.aclDelUser("silent");
  });

  it("a channel that Redis refuses fails alone", async () => {
    const admin = await nodeRedis();
    await admin.aclSetUser("reader", ["on", ">sesame", "+@all", "resetchannels", "&group_finals"]);
    const bus = opened({ url: server.url.replace("//", "//reader:sesame@") } as Partial<RedisBusOptions>);
    const heard: string[] = [];
    await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
    await expect(bus.subscribe("secret", () => {})).rejects.toMatchObject({ code: "unavailable" });
    await bus.publish("finals", entry(1));
    await eventually(() => expect(heard).toEqual(["e.1"]));
    await admin.aclDelUser("reader");
  });

  describe("on a cluster", () => {
    let cluster: RedisServer;
    beforeAll(async () => {
      cluster = await startRedisCluster();
    });
    afterAll(() => cluster.close());

    async function nodeRedisCluster() {
      const client = createCluster({ rootNodes: [{ url: cluster.url }] });
      client.on("error", () => {});
      await client.connect();
      ends.push(() => client.destroy());
      return client;
    }

    async function ioredisCluster() {
      const client = new Cluster([cluster.url]);
      client.on("error", () => {});
      await once(client, "ready");
      ends.push(() => client.disconnect());
      return client;
    }

    for (const [name, client] of [
      ["node-redis", nodeRedisCluster],
      ["ioredis", ioredisCluster],
    ] as const) {
      describe(name, () => {
        busSuite(
          { describe, it },
          made(async () => ({ client: await client() })),
        );

        it("is sharded, and comes back", async () => {
          const bus = opened({ client: await client() } as Partial<RedisBusOptions>);
          const statuses: string[] = [];
          bus.onStatus!((status) => statuses.push(status));
          const heard: string[] = [];
          await bus.subscribe("finals", ({ cursor }) => heard.push(cursor));
          expect(await cluster.command("PUBSUB", "SHARDCHANNELS")).toEqual(["group_finals"]);
          expect(await cluster.command("PUBSUB", "CHANNELS", "group_*")).toEqual([]);
          await cluster.kill();
          await eventually(() => expect(statuses).toEqual(["down"]), 15_000);
          await cluster.start();
          await eventually(() => expect(statuses).toEqual(["down", "up"]), 15_000);
          await eventually(async () => {
            await bus.publish("finals", entry(2));
            expect(heard).toContain("e.2");
          });
        }, 30_000);
      });
    }
  });
});

// --- words of the tests ------------------------------------------------------------------------------------

function made(options: () => Promise<Partial<RedisBusOptions>> | Partial<RedisBusOptions>) {
  const make = async (): Promise<Made<Bus>> => ({
    value: redisBus({ ...(await options()), ...quiet } as RedisBusOptions),
  });
  return { make, join: async () => (await make()).value };
}
