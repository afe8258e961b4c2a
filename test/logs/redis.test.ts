import { Redis } from "ioredis";
import { createClient, createCluster } from "redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { redisBus } from "../../src/buses/redis.ts";
import type { Log } from "../../src/logs/log.ts";
import { type RedisLogOptions, redisLog } from "../../src/logs/redis.ts";
import { type Announcement, draftUpdate, parseCursor } from "../../src/protocol.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { logSuite } from "../../src/testing/log-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { type RedisServer, startRedis, startRedisCluster } from "../support/redis-server.ts";

const shown = (id: string, content = id) => draftUpdate([{ id, show: true, content }]);
const quiet = { onError: () => {} };
const seqOf = (cursor: string) => parseCursor(cursor)!.seq;
const epochOf = (cursor: string) => parseCursor(cursor)!.epoch;

describeWith("redis", () => {
  let server: RedisServer;
  const ends: (() => unknown)[] = [];
  let prefixes = 0;
  beforeAll(async () => {
    server = await startRedis("--appendonly", "yes", "--appendfsync", "always");
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  afterAll(() => server.close());

  const newPrefix = () => `test-${++prefixes}:`;

  function opened(options: Partial<RedisLogOptions> = {}): Log {
    const log = redisLog({
      ...("client" in options ? {} : { url: server.url }),
      prefix: newPrefix(),
      ...quiet,
      ...options,
    } as RedisLogOptions);
    ends.push(() => log.close());
    return log;
  }

  async function nodeRedis() {
    const client = createClient({ url: server.url });
    client.on("error", () => {});
    await client.connect();
    ends.push(() => client.destroy());
    return client;
  }

  describe("from a URL, the server restarted on its append-only file", () => {
    const prefixOf = new Map<Log, string>();
    const make = (prefix: string) => {
      const log = redisLog({ url: server.url, prefix, ...quiet });
      prefixOf.set(log, prefix);
      return log;
    };
    logSuite(
      { describe, it: (name, body) => it(name, body, 60_000) },
      {
        make: () => ({ value: make(newPrefix()) }),
        async reopen(log) {
          await server.kill();
          await server.start();
          return make(prefixOf.get(log)!);
        },
      },
    );
  });

  describe("with a client of node-redis", () => {
    logSuite(
      { describe, it },
      { make: async () => ({ value: redisLog({ client: await nodeRedis(), prefix: newPrefix() }) }) },
    );
  });

  describe("with a client of ioredis", () => {
    logSuite(
      { describe, it },
      {
        make() {
          const client = new Redis(server.url);
          const value = redisLog({ client, prefix: newPrefix() });
          return { value, dispose: async () => client.disconnect() };
        },
      },
    );
  });

  describe("on a cluster", () => {
    let cluster: RedisServer;
    beforeAll(async () => {
      cluster = await startRedisCluster();
    });
    afterAll(() => cluster.close());

    const connected = async () => {
      const client = createCluster({ rootNodes: [{ url: cluster.url }] });
      await client.connect();
      ends.push(() => client.destroy());
      return client;
    };

    logSuite(
      { describe, it },
      { make: async () => ({ value: redisLog({ client: await connected(), prefix: newPrefix() }) }) },
    );

    it("announces on the bus of the cluster", async () => {
      const client = await connected();
      const bus = redisBus({ client, ...quiet });
      ends.push(() => bus.close());
      const heard: Announcement[] = [];
      await bus.subscribe("finals", (announcement) => heard.push(announcement));
      const log = opened({ client, bus } as Partial<RedisLogOptions>);
      const announcement = await log.append("finals", shown("a"));
      await eventually(() => expect(heard).toEqual([announcement]));
    });
  });

  it("announces in the same breath, to the letter, and its publisher does not announce again", async () => {
    const bus = redisBus({ url: server.url, ...quiet });
    ends.push(() => bus.close());
    const log = opened({ bus });
    const heard: Announcement[] = [];
    await bus.subscribe("finals", (announcement) => heard.push(announcement));
    const draft = draftUpdate(
      [
        { id: "__proto__", show: true, content: '<p>"Goal!"/\u2028\u0000\\ é 💥</p>' },
        { id: '"<9>&', show: false, content: "secret" },
      ],
      ['gone"<'],
    );
    const first = await log.append("finals", draft);
    await eventually(() => expect(heard).toHaveLength(1));
    expect([...(heard[0] as typeof first & { renders: Map<string, unknown> }).renders.keys()]).toEqual([
      "__proto__",
      '"<9>&',
    ]);
    expect(heard[0]).toEqual(first);

    const publisher = createPublisher({ log, bus });
    const { cursor } = await publisher.publish("finals", { a: { show: true, content: "A" } });
    await publisher.publish("finals", { b: { show: true, content: "B" } });
    await eventually(() => expect(heard).toHaveLength(3));
    expect(heard[1]!.cursor).toBe(cursor);
  });

  it("an announcement that Redis refuses inside the script goes to the bus, which tells", async () => {
    const client = await nodeRedis();
    await client.aclSetUser("limited", ["on", ">sesame", "~*", "+@all", "resetchannels"]);
    const url = server.url.replace("//", "//limited:sesame@");
    const errors: unknown[] = [];
    const bus = redisBus({ url, onError: (error) => errors.push(error) });
    ends.push(() => bus.close());
    const log = opened({ url, bus } as Partial<RedisLogOptions>);
    const publisher = createPublisher({ log, bus });
    const { cursor } = await publisher.publish("refused", { a: { show: true, content: "x" } });
    await eventually(() =>
      expect(errors.map(String)).toEqual([expect.stringContaining("Redis refused: NOPERM")]),
    );
    expect(await log.heads(["refused"])).toEqual([cursor]);
    await client.aclDelUser("limited");
  });

  it("what Redis refuses is told as a refusal", async () => {
    const client = await nodeRedis();
    const log = opened();
    await client.configSet("maxmemory", "1");
    try {
      await expect(log.append("full", shown("a"))).rejects.toMatchObject({
        code: "unavailable",
        detail: expect.stringContaining("Redis refused: OOM"),
      });
    } finally {
      await client.configSet("maxmemory", "0");
    }
  });

  it("20 publishers over two logs: no gap, no double, and all are heard", async () => {
    const bus = redisBus({ url: server.url, ...quiet });
    ends.push(() => bus.close());
    const prefix = newPrefix();
    const logs = [opened({ prefix, bus }), opened({ prefix, bus })];
    const heard: number[] = [];
    await bus.subscribe("finals", ({ cursor }) => heard.push(seqOf(cursor)));
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        for (let i = 0; i < 25; i++) await logs[n % 2]!.append("finals", shown(`${n}`, `version ${i}`));
      }),
    );
    const all = Array.from({ length: 500 }, (_, n) => n + 1);
    await eventually(() => expect(heard).toEqual(all));
    const heads = await Promise.all(logs.map((log) => log.heads(["finals"])));
    expect(heads[0]).toEqual(heads[1]);
    expect(seqOf(heads[0]![0]!)).toBe(500);
  });

  it("keeps so many posts, and cursors before those that went reset", async () => {
    const log = opened({ maxPosts: 10 });
    const cursors: string[] = [];
    for (let n = 1; n <= 15; n++) cursors.push((await log.append("page", shown(`post ${n}`))).cursor);
    const head = cursors[14]!;
    expect(await log.since("page", cursors[3]!)).toEqual({ reset: head });
    const later = await log.since("page", cursors[4]!);
    expect("entry" in later && [...later.entry.renders.keys()]).toEqual(
      Array.from({ length: 10 }, (_, n) => `post ${n + 6}`),
    );
    const large = await log.append(
      "page",
      draftUpdate(Array.from({ length: 12 }, (_, n) => ({ id: `new ${n}`, show: true, content: "x" }))),
    );
    expect(await log.since("page", head)).toEqual({ entry: large, more: false });
  });

  it("keeps posts so long; a channel that is quiet for that long is gone, and cursors of before reset", async () => {
    const log = opened({ maxAgeMs: 400 });
    const [zero] = (await log.heads(["page"])) as [string];
    const { cursor: first } = await log.append("page", shown("a"));
    await new Promise((resolve) => setTimeout(resolve, 250)); // the server's clock is what is tested
    const { cursor: second } = await log.append("page", shown("b"));
    await new Promise((resolve) => setTimeout(resolve, 250));
    const { cursor: head } = await log.append("page", shown("c"));
    expect(await log.since("page", zero)).toEqual({ reset: head });
    expect("entry" in (await log.since("page", first))).toBe(true);
    expect("entry" in (await log.since("page", second))).toBe(true);
    await eventually(async () => expect(seqOf((await log.heads(["page"]))[0]!)).toBe(0));
    const [gone] = (await log.heads(["page"])) as [string];
    for (const cursor of [zero, first, head])
      expect(await log.since("page", cursor)).toEqual({ reset: gone });
    expect(await server.command("KEYS", `test-${prefixes}:{*`)).toEqual([]);
  });

  describe("what makes Redis forget begins a new epoch", () => {
    it("a restart without persistence", async () => {
      const bare = await startRedis();
      ends.push(() => bare.close());
      const log = opened({ url: bare.url } as Partial<RedisLogOptions>);
      const [zero] = (await log.heads(["page"])) as [string];
      const { cursor } = await log.append("page", shown("a"));
      await bare.kill();
      await bare.start();
      let head = "";
      await eventually(async () => {
        [head] = (await log.heads(["page"])) as [string];
      });
      for (const old of [zero, cursor]) expect(await log.since("page", old)).toEqual({ reset: head });
      const { cursor: after } = await log.append("page", shown("a"));
      expect(seqOf(after)).toBe(1);
      for (const old of [zero, cursor]) expect(await log.since("page", old)).toEqual({ reset: after });
      expect("entry" in (await log.since("page", head))).toBe(true);
    });

    it("FLUSHALL", async () => {
      const log = opened();
      const [zero] = (await log.heads(["page"])) as [string];
      const { cursor } = await log.append("page", shown("a"));
      await server.command("FLUSHALL");
      const [head] = (await log.heads(["page"])) as [string];
      for (const old of [zero, cursor]) expect(await log.since("page", old)).toEqual({ reset: head });
    });

    it.each(["meta", "posts", "order"])("the eviction of a channel's %s", async (name) => {
      const log = opened();
      const [zero] = (await log.heads(["page"])) as [string];
      await log.append("page", shown("a"));
      const { cursor } = await log.append("page", shown("b"));
      await server.command("DEL", `test-${prefixes}:{group_page}:${name}`);
      const [head] = (await log.heads(["page"])) as [string];
      for (const old of [zero, cursor]) expect(await log.since("page", old)).toEqual({ reset: head });
      const { cursor: after } = await log.append("page", shown("c"));
      for (const old of [zero, cursor]) expect(await log.since("page", old)).toEqual({ reset: after });
      const missed = await log.since("page", head);
      expect("entry" in missed && [...missed.entry.renders.keys()]).toEqual(["c"]);
    });

    it("the eviction of a whole channel", async () => {
      const bare = await startRedis("--maxmemory-policy", "volatile-lru");
      ends.push(() => bare.close());
      const log = opened({ url: bare.url } as Partial<RedisLogOptions>);
      const [zero] = (await log.heads(["page"])) as [string];
      await log.append("page", shown("a"));
      await bare.command("CONFIG", "SET", "maxmemory", "1");
      await eventually(async () => expect(await bare.command("KEYS", "*{*")).toEqual([]));
      await bare.command("CONFIG", "SET", "maxmemory", "0");
      const [head] = (await log.heads(["page"])) as [string];
      expect(await log.since("page", zero)).toEqual({ reset: head });
    });

    it("a failover to a replica that is behind, and back", async () => {
      const [primary, replica] = [await startRedis(), await startRedis()];
      ends.push(
        () => primary.close(),
        () => replica.close(),
      );
      const prefix = newPrefix();
      const on = ({ url }: RedisServer) => opened({ url, prefix } as Partial<RedisLogOptions>);
      const [log, other] = [on(primary), on(replica)];
      const has = ({ command }: RedisServer, field = "seq") =>
        command("HGET", `${prefix}{group_page}:meta`, field);
      await replica.command("REPLICAOF", "127.0.0.1", String(primary.port));
      const { cursor: kept } = await log.append("page", shown("a"));
      await eventually(async () => expect(await has(replica)).toBe("1"));
      await replica.command("REPLICAOF", "NO", "ONE"); // cut off: what comes now it never hears of
      const { cursor: lost } = await log.append("page", shown("b"));

      expect(await other.since("page", lost)).toEqual({ reset: kept });
      const { cursor: next } = await other.append("page", shown("c"));
      expect(seqOf(next)).toBe(seqOf(lost));
      expect(epochOf(next)).not.toBe(epochOf(lost));
      expect(await other.since("page", lost)).toEqual({ reset: next });
      const missed = await other.since("page", kept);
      expect("entry" in missed && [...missed.entry.renders.keys()]).toEqual(["c"]);

      // The first one again, which has what the second had: its process is the one the oldest epoch began in.
      await primary.command("REPLICAOF", "127.0.0.1", String(replica.port));
      await eventually(async () => expect(await has(primary, "epochs")).toContain(epochOf(next)));
      await primary.command("REPLICAOF", "NO", "ONE");
      const { cursor: again } = await log.append("page", shown("d"));
      expect(new Set([lost, next, again].map(epochOf)).size).toBe(3);
    });
  });

  it("is unavailable while Redis is, and goes on when it is there again", async () => {
    const log = opened();
    const { cursor } = await log.append("page", shown("a"));
    await server.kill();
    await expect(log.append("page", shown("b"))).rejects.toMatchObject({ code: "unavailable" });
    await expect(log.since("page", cursor)).rejects.toMatchObject({ code: "unavailable" });
    await expect(log.heads(["page"])).rejects.toMatchObject({ code: "unavailable" });
    await server.start();
    await eventually(async () => expect(await log.heads(["page"])).toEqual([cursor]));
  });

  it("answers a cursor with what changed, however long the history", async () => {
    const log = opened();
    const drafts = Array.from({ length: 5_000 }, (_, n) => ({
      id: `post ${n}`,
      show: true,
      content: "x".repeat(200),
    }));
    await log.append("page", draftUpdate(drafts));
    const { cursor } = await log.append("page", shown("post 1", "changed"));
    await log.append("page", shown("post 2", "changed"));
    await server.command("CONFIG", "RESETSTAT");
    await log.since("page", cursor);
    const stats = String(await server.command("INFO", "commandstats"));
    expect(/cmdstat_hget:calls=(\d+)/.exec(stats)?.[1]).toBe("1");
  });

  it("asks for the heads of 2,000 channels at once", async () => {
    const log = opened();
    const names = Array.from({ length: 2_000 }, (_, n) => `channel ${n}`);
    const { cursor } = await log.append("channel 1999", shown("a"));
    const heads = await log.heads(names);
    expect(heads[1_999]).toBe(cursor);
    expect(new Set(heads.slice(0, -1)).size).toBe(1);
  });
});
