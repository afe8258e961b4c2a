import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createClient } from "redis";
import { describe, expect, test } from "vitest";
import { type Announcement, draftUpdate, parseCursor } from "../../src/protocol.ts";
import { createRelay } from "../../src/relay/relay.ts";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { startService } from "../support/services.ts";
import { sitePost, wagtailSite } from "../support/wagtail.ts";

/**
 * What a Redis brings on a new subscription, in one chunk with its answer; `null`: it ends the connection instead.
 * Connections are counted from 1, those alone that subscribe.
 */
type OnSubscribe = (channel: string, connection: number) => readonly string[] | null;

/** As much of Redis (RESP3) as subscriptions need, in the chunks that a test wants. */
async function scriptedRedis(onSubscribe: OnSubscribe) {
  const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
  const push = (kind: string, channel: string, last: string) => `>3\r\n${bulk(kind)}${bulk(channel)}${last}`;
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    let connection: number | undefined;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    let held = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      held += text;
      for (;;) {
        const command = /^\*(\d+)\r\n/.exec(held);
        const parts = held.split("\r\n");
        const count = Number(command?.[1]);
        // A name in ASCII has no line of its own in it: a command of n arguments is 2n + 1 lines.
        if (!command || parts.length < 2 * count + 2) return;
        const [name, channel = ""] = parts.slice(1, 2 * count + 1).filter((_, n) => n % 2 === 1);
        held = parts.slice(2 * count + 1).join("\r\n");
        if (name?.toUpperCase() !== "SUBSCRIBE") {
          socket.write("+OK\r\n");
          continue;
        }
        connection ??= ++connections;
        const messages = onSubscribe(channel, connection);
        if (!messages) return void socket.end();
        const answer = push("subscribe", channel, ":1\r\n");
        socket.write(answer + messages.map((text) => push("message", channel, bulk(text))).join(""));
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      this.cut();
      server.close();
      await once(server, "close");
    },
  };
}

describe("a message that comes in one chunk with Redis' word that it listens", () => {
  const message = (id: string) =>
    JSON.stringify({ renders: { [id]: { show: true, content: sitePost(id, id) } }, removals: [] });
  const said = (heard: readonly Announcement[]) =>
    heard.map((one) => ("renders" in one && one.renders ? [...one.renders.keys()].join() : "begun anew"));

  test("is part of the history that begins, at first and when Redis is back", async () => {
    const redis = await scriptedRedis((_channel, connection) => [message(`with ${connection}`)]);
    const relay = createRelay({ url: redis.url, onError: () => {} });
    try {
      const heard: Announcement[] = [];
      const since = async (cursor: string) => {
        const missed = await relay.log.since("finals", cursor);
        return "entry" in missed && [...missed.entry.renders.keys()];
      };
      await relay.bus.subscribe("finals", (announcement) => heard.push(announcement));
      await eventually(() => expect(said(heard)).toEqual(["begun anew", "with 1"]));
      expect(await since(heard[0]!.cursor)).toEqual(["with 1"]);
      redis.cut();
      await eventually(() => expect(said(heard).slice(2)).toEqual(["begun anew", "with 2"]), 10_000);
      expect(await since(heard[2]!.cursor)).toEqual(["with 2"]);
    } finally {
      await relay.close();
      await redis.close();
    }
  }, 30_000);

  test("is not taken to follow on what a session brought that ended before Redis was back", async () => {
    // The second session brings a message of one page, and ends over the other.
    const redis = await scriptedRedis((channel, connection) => {
      if (connection === 2 && channel.endsWith("other")) return null;
      return channel.endsWith("finals") ? [message(`with ${connection}`)] : [];
    });
    const relay = createRelay({ url: redis.url, onError: () => {} });
    try {
      const heard: Announcement[] = [];
      await relay.bus.subscribe("finals", (announcement) => heard.push(announcement));
      await relay.bus.subscribe("other", () => {});
      redis.cut();
      const expected = [1, 2, 3].flatMap((session) => ["begun anew", `with ${session}`]);
      await eventually(() => expect(said(heard)).toEqual(expected), 15_000);
    } finally {
      await relay.close();
      await redis.close();
    }
  }, 30_000);
});

describeWith("redis", () => {
  test("what Redis refuses is told as that, once, by who subscribes and by who publishes", async () => {
    const redis = await startService("redis");
    const client = createClient({ url: redis.url });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.configSet("requirepass", "right");
      for (const [login, path, said] of [
        [":wrong@", "", "WRONGPASS"],
        ["", "", "NOAUTH"],
        [":right@", "/99", "DB index"],
      ] as const) {
        const errors: string[] = [];
        const url = `redis://${login}127.0.0.1:${redis.port}${path}`;
        const relay = createRelay({ url, onError: (error) => errors.push(String(error)) });
        const refusal = expect.stringMatching(new RegExp(`Redis refused: [^:]*${said}[^:]*$`));
        try {
          await eventually(() => expect(errors).toEqual([refusal]));
          const draft = draftUpdate({}, ["a"]);
          await expect(relay.publish("finals", draft)).rejects.toMatchObject({
            code: "unavailable",
            message: refusal,
          });
          expect(errors).toHaveLength(1);
        } finally {
          await relay.close();
        }
      }
    } finally {
      client.destroy();
      await redis.close();
    }
  }, 30_000);

  test("when it hears again it says so at once, so that the next message is not lost in the reset", async () => {
    const redis = await startService("redis");
    const site = await wagtailSite(redis.url);
    const relay = createRelay({ url: redis.url, onError: () => {} });
    try {
      const heard: Announcement[] = [];
      /** What had been announced when it was up again. */
      let then: Announcement[] = [];
      await relay.bus.subscribe("finals", (announcement) => heard.push(announcement));
      await site.publish("finals", { renders: [["a", true, sitePost("a", "A")]] });
      await eventually(() => expect(heard).toHaveLength(2));
      relay.bus.onStatus!((status) => {
        if (status === "up") then = [...heard];
      });
      await redis.kill();
      await redis.start();
      await eventually(() => expect(then).not.toEqual([]), 20_000);
      expect(then.slice(2)).toEqual([{ cursor: expect.stringMatching(/\.0$/) }]);
      const [, before, after] = then.map(({ cursor }) => parseCursor(cursor)!.epoch);
      expect(after).not.toBe(before);
    } finally {
      await relay.close();
      site.close();
      await redis.close();
    }
  }, 45_000);
});
