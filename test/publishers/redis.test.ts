import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createClient } from "redis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { redisBus } from "../../src/buses/redis.ts";
import type { Announcement } from "../../src/protocol.ts";
import { getRedisUrl, RedisBus, RedisPubSubPublisher } from "../../src/publishers/redis.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { type Service, startService } from "../support/services.ts";

const redisCli = promisify(execFile);

it("getRedisUrl() is ours, else Wagtail Live's, else its default", () => {
  expect(getRedisUrl({ TIDINGS_REDIS_URL: "redis://a", WAGTAIL_LIVE_REDIS_URL: "redis://b" })).toBe(
    "redis://a",
  );
  expect(getRedisUrl({ TIDINGS_REDIS_URL: "", WAGTAIL_LIVE_REDIS_URL: "redis://b" })).toBe("redis://b");
  expect(getRedisUrl({})).toBe("redis://127.0.0.1:6379/1");
});

/** A reader's connection, as far as it matters here. */
interface Socket {
  readonly received: string[];
  send(message: string): void;
}

function socket(): Socket {
  const received: string[] = [];
  return { received, send: (message) => received.push(message) };
}

const sendAll = (message: string, recipients: readonly Socket[]) => {
  for (const recipient of recipients) recipient.send(message);
};

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

  function running(
    broadcast: (message: string, recipients: readonly Socket[]) => unknown = sendAll,
    onError: (error: unknown, context: { stage: string; channel?: string }) => void = () => {},
  ) {
    const bus = new RedisBus<Socket>({ url: server.url, broadcast, onError });
    const run = bus.run();
    ends.push(async () => {
      await bus.close();
      await run;
    });
    return bus;
  }

  function publisher() {
    const made = new RedisPubSubPublisher({ url: server.url });
    ends.push(() => made.close());
    return made;
  }

  it("a message written as Python writes it arrives as it is, at the group's members only", async () => {
    const bus = running();
    const [reader, second, other] = [socket(), socket(), socket()];
    await bus.subscribe("group_été", reader);
    await bus.subscribe("group_été", second);
    await bus.subscribe("group_other", other);
    const message =
      '{"renders": {"7": {"show": true, "content": "<p>\\u00e9t\\u00e9 \\ud83d\\udca5</p>"}}, "removals": []}';
    const { stdout } = await redisCli("redis-cli", [
      "-p",
      String(server.port),
      "PUBLISH",
      "group_été",
      message,
    ]);
    expect(stdout.trim()).toBe("1"); // one subscription, whoever many members
    await eventually(() => expect([reader.received, second.received]).toEqual([[message], [message]]));
    expect(other.received).toEqual([]);
  });

  it("keeps the order of messages, and passes on what is no JSON", async () => {
    const bus = running();
    const reader = socket();
    await bus.subscribe("group_finals", reader);
    const client = await nodeRedis();
    const messages = Array.from({ length: 500 }, (_, n) => `no JSON: ${n}`);
    await Promise.all(messages.map((message) => client.publish("group_finals", message)));
    await eventually(() => expect(reader.received).toEqual(messages));
  });

  it("lets a group go with its last member, and nothing comes to those who left", async () => {
    const bus = running();
    const [first, second] = [socket(), socket()];
    const client = await nodeRedis();
    for (const one of [first, second]) await bus.subscribe("group_finals", one);
    await bus.unsubscribe("group_finals", first);
    await client.publish("group_finals", "for the second");
    await eventually(() => expect(second.received).toEqual(["for the second"]));
    expect(await client.pubSubChannels("*")).toEqual(["group_finals"]);
    await bus.unsubscribe("group_finals", second);
    await bus.unsubscribe("group_finals", second);
    await bus.unsubscribe("group_never", second);
    expect(await client.pubSubChannels("*")).toEqual([]);
    await client.publish("group_finals", "for nobody");
    await bus.subscribe("group_finals", first);
    await client.publish("group_finals", "for the first");
    await eventually(() => expect(first.received).toEqual(["for the first"]));
    expect(second.received).toEqual(["for the second"]);
  });

  it("goes on when a recipient is dead, whether that throws or rejects", async () => {
    const errors: unknown[] = [];
    const broadcasts = [
      () => {
        throw new Error("dead");
      },
      async () => {
        throw new Error("dead");
      },
      sendAll,
    ];
    const bus = running(
      (message, recipients) => broadcasts.shift()!(message, recipients),
      (error, { stage, channel }) => errors.push([(error as Error).message, stage, channel]),
    );
    const reader = socket();
    await bus.subscribe("group_finals", reader);
    const client = await nodeRedis();
    for (const message of ["first", "second", "third"]) await client.publish("group_finals", message);
    await eventually(() => expect(reader.received).toEqual(["third"]));
    expect(errors).toEqual(Array(2).fill(["dead", "broadcast", "group_finals"]));
  });

  it("goes on when Redis was lost; those who came meanwhile hear too", async () => {
    const bus = running();
    const [before, meanwhile] = [socket(), socket()];
    await bus.subscribe("group_finals", before);
    await server.kill();
    const subscribed = bus.subscribe("group_other", meanwhile);
    await server.start();
    await subscribed;
    const client = await nodeRedis();
    for (const name of ["group_finals", "group_other"]) expect(await client.publish(name, "back")).toBe(1);
    await eventually(() => expect([before.received, meanwhile.received]).toEqual([["back"], ["back"]]));
  });

  it("ends as wanted last, however fast one changes one's mind", async () => {
    const bus = running();
    const [a, b] = [socket(), socket()];
    const client = await nodeRedis();
    for (let n = 0; n < 50; n++) {
      const all = [bus.subscribe("a", a), bus.unsubscribe("a", a), bus.subscribe("b", b)];
      all.push(bus.subscribe("a", a), bus.unsubscribe("b", b));
      await Promise.all(all);
      expect(await client.pubSubChannels("*")).toEqual(["a"]);
    }
    await client.publish("a", "once");
    await eventually(() => expect(a.received).toEqual(["once"]));
    await bus.unsubscribe("a", a);
    expect(await client.pubSubChannels("*")).toEqual([]);
  });

  it("keeps nothing of what was given up while Redis was away", async () => {
    const bus = running();
    const reader = socket();
    await bus.subscribe("kept", reader);
    await server.kill();
    const givenUp = bus.subscribe("given up", reader);
    await bus.unsubscribe("given up", reader);
    const joined = bus.subscribe("joined", reader);
    await server.start();
    await Promise.all([givenUp, joined]);
    const client = await nodeRedis();
    await eventually(async () =>
      expect((await client.pubSubChannels("*")).sort()).toEqual(["joined", "kept"]),
    );
  });

  it("a member whose subscription is refused is none", async () => {
    const client = await nodeRedis();
    await client.aclSetUser("member", ["on", ">sesame", "+@all", "resetchannels"]);
    const url = server.url.replace("//", "//member:sesame@");
    const bus = new RedisBus<Socket>({ url, broadcast: sendAll, onError: () => {} });
    ends.push(() => bus.close());
    const [refused, reader] = [socket(), socket()];
    await expect(bus.subscribe("secret", refused)).rejects.toMatchObject({ code: "unavailable" });
    await client.aclSetUser("member", ["allchannels"]);
    await bus.subscribe("secret", reader);
    await client.publish("secret", "for members");
    await eventually(() => expect(reader.received).toEqual(["for members"]));
    expect(refused.received).toEqual([]);
    await client.aclDelUser("member");
  });

  it("publishes what Wagtail Live publishes, with the cursor there is, over one connection", async () => {
    const client = await nodeRedis();
    const before = (await client.clientList()).length;
    const made = publisher();
    const bus = running();
    const reader = socket();
    await bus.subscribe("group_-100123", reader);
    const renders = { 7: { show: true, content: "<p>été</p>", at: 3 } };
    await made.publish("-100123", renders, ["6"], { cursor: "e.8" });
    await made.publish("-100123", { 7: { show: true, content: "as in the guide" } }, []);
    for (let n = 0; n < 100; n++) await made.publish("-100123", {}, []);
    await eventually(() => expect(reader.received).toHaveLength(102));
    expect(reader.received.slice(0, 2).map((text) => JSON.parse(text))).toEqual([
      { renders, removals: ["6"], cursor: "e.8" },
      { renders: { 7: { show: true, content: "as in the guide" } }, removals: [] },
    ]);
    expect((await client.clientList()).length).toBe(before + 2);
  });

  it("what it publishes with a cursor is an announcement", async () => {
    const bus = redisBus({ url: server.url });
    ends.push(() => bus.close());
    const heard: Announcement[] = [];
    await bus.subscribe("finals", (announcement) => heard.push(announcement));
    await publisher().publish("finals", { 7: { show: true, content: "A", at: 1 } }, [], { cursor: "e.1" });
    const renders = new Map([["7", { show: true, content: "A", at: 1 }]]);
    await eventually(() => expect(heard).toEqual([{ renders, removals: [], cursor: "e.1" }]));
  });

  it("tells who publishes that Redis is away, and publishes again when it is back", async () => {
    const made = publisher();
    await made.publish("finals", {}, []);
    await server.kill();
    await expect(made.publish("finals", {}, [])).rejects.toMatchObject({ code: "unavailable" });
    await server.start();
    await eventually(() => made.publish("finals", {}, []));
    await made.close();
    await expect(made.publish("finals", {}, [])).rejects.toMatchObject({ code: "closed" });
  });
});
