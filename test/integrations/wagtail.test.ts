import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventually } from "../../src/testing/runner.ts";
import { cuttable } from "../support/cuttable.ts";
import { describeWith } from "../support/describe-with.ts";
import { describeWithPython, type PythonProgram, startPython } from "../support/python.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";
import { startTestServer } from "../support/server.ts";
import { freePort, type Service, startService } from "../support/services.ts";
import { pythonJson } from "../support/wagtail.ts";

// integrations/wagtail/tidings_publisher.py, in a Django site of its own process, before a real Redis and a real relay.

const MODULES = ["django", "redis"];
const SITE = fileURLToPath(new URL("./wagtail-site", import.meta.url));
const PUBLISHERS = fileURLToPath(new URL("../../integrations/wagtail", import.meta.url));
const TOKEN = "a-token-of-the-tests";

interface Update {
  readonly posts?: readonly (readonly [id: string, show: boolean, content: string])[];
  readonly removals?: readonly string[];
  readonly transaction?: "commit" | "rollback";
  readonly fork?: boolean;
}

interface Saved {
  readonly seconds: number;
  readonly logged: readonly string[];
}

interface Site extends Omit<PythonProgram, "ask"> {
  /** Saves on the site; resolves when that is done. */
  save(channel: string, update: Update): Promise<Saved>;
}

interface Frame {
  readonly renders: Readonly<Record<string, { readonly show: boolean; readonly content: string }>>;
  readonly removals: readonly string[];
}

describeWithPython(MODULES, () => {
  describeWith("redis", () => {
    let redis: Service;
    let relay: TestRelay;
    const open: { close(): unknown }[] = [];

    beforeEach(async () => {
      redis = await startService("redis");
      relay = await startTestRelay(redis.url, { token: TOKEN });
    });
    afterEach(async () => {
      for (const each of open.splice(0)) await each.close();
      await relay.close();
      await redis.close();
    });

    async function startSite(publisher: string, settings: object): Promise<Site> {
      const all = { WAGTAIL_LIVE_PUBLISHER: `tidings_publisher.${publisher}`, ...settings };
      const args = [`${SITE}/site.py`, JSON.stringify(all)];
      const program = await startPython(MODULES, args, [SITE, PUBLISHERS]);
      open.push(program);
      return {
        ...program,
        save: (channel, update) => program.ask({ channel, ...update }),
      };
    }
    const withRedis = (settings: object = {}) =>
      startSite("TidingsRedisPublisher", { WAGTAIL_LIVE_REDIS_URL: `${redis.url}/1`, ...settings });
    const withHttp = (settings: object = {}) =>
      startSite("TidingsHttpPublisher", { TIDINGS_URL: relay.url, TIDINGS_TOKEN: TOKEN, ...settings });

    /** What an unchanged client of Wagtail Live gets. */
    async function read(channel: string): Promise<Frame[]> {
      const address = relay.url.replace("http", "ws");
      const socket = new WebSocket(`${address}/ws/channel/${encodeURIComponent(channel)}/`);
      open.push({ close: () => socket.terminate() });
      const frames: Frame[] = [];
      socket.on("message", (data) => frames.push(JSON.parse(String(data))));
      await once(socket, "open");
      return frames;
    }
    const idsOf = (frames: readonly Frame[]) => frames.flatMap(({ renders }) => Object.keys(renders));

    describe.each([
      ["TidingsRedisPublisher", withRedis],
      ["TidingsHttpPublisher", withHttp],
    ])("%s", (name, start) => {
      test("readers get what is saved: non-ASCII, several at once, hidden, removed", async () => {
        const site = await start();
        const frames = await read("é t é");
        const first = '<p>Tör — 🎉 "quoted" \' \\ </p>';
        const saved = await site.save("é t é", {
          posts: [
            ["b", true, first],
            ["a", true, "A"],
          ],
        });
        expect(saved.logged).toEqual([]);
        await site.save("é t é", { posts: [["b", false, "secret"]] });
        await site.save("é t é", { removals: ["a", "b"] });
        await eventually(() => expect(frames).toHaveLength(3));
        expect(Object.entries(frames[0]!.renders)).toEqual([
          ["b", { show: true, content: first }],
          ["a", { show: true, content: "A" }],
        ]);
        expect(frames[0]!.removals).toEqual([]);
        expect(frames[1]!.renders.b!.show).toBe(false);
        expect(JSON.stringify(frames)).not.toContain("secret");
        expect(frames[2]!.renders).toEqual({});
        expect([...frames[2]!.removals].sort()).toEqual(["a", "b"]);
      });

      test("tells of what is committed, and of nothing else", async () => {
        const site = await start();
        const frames = await read("finals");
        await site.save("finals", { posts: [["taken back", true, "-"]], transaction: "rollback" });
        await site.save("finals", { posts: [["kept", true, "-"]], transaction: "commit" });
        await eventually(() => expect(idsOf(frames)).toEqual(["kept"]));
      });

      test("works in the children of a process that has published before it forked", async () => {
        const site = await start();
        const frames = await read("finals");
        for (const [id, fork] of [
          ["parent", false],
          ["child 1", true],
          ["child 2", true],
          ["parent again", false],
        ] as const) {
          const { logged } = await site.save("finals", { posts: [[id, true, "-"]], fork });
          expect(logged).toEqual([]);
        }
        await eventually(() =>
          expect(idsOf(frames)).toEqual(["parent", "child 1", "child 2", "parent again"]),
        );
      });

      test("Redis is down: saving goes on, it is logged, and what is saved later arrives", async () => {
        const site = await start();
        const frames = await read("finals");
        await site.save("finals", { posts: [["before", true, "-"]] });
        await eventually(() => expect(idsOf(frames)).toEqual(["before"]));
        await redis.kill();
        const { logged, seconds } = await site.save("finals", { posts: [["meanwhile", true, "-"]] });
        expect(logged).toEqual([expect.stringMatching(/^Readers of finals were not told of an update: /)]);
        expect(seconds).toBeLessThan(5);
        await redis.start();
        await eventually(async () => {
          expect((await site.save("finals", { posts: [["after", true, "-"]] })).logged).toEqual([]);
          expect(idsOf(frames)).toContain("after");
        }, 20_000);
        expect(idsOf(frames)[0]).toBe("before");
        expect(idsOf(frames)).not.toContain("meanwhile");
      });

      test("what it asks does not answer: saving waits for some seconds, and goes on", async () => {
        const site = await start();
        await site.save("finals", { posts: [["before", true, "-"]] });
        redis.pause();
        try {
          const { logged, seconds } = await site.save("finals", { posts: [["a", true, "-"]] });
          // The relay says what is the matter before nobody waits for it any more.
          expect(logged).toEqual([
            expect.stringContaining(name === "TidingsHttpPublisher" ? " 503 " : "Timeout"),
          ]);
          expect(seconds).toBeGreaterThan(1);
          expect(seconds).toBeLessThan(9);
        } finally {
          redis.resume();
        }
      });
    });

    test("over Redis: in the words of the original's publishers, so that its servers understand it, too", async () => {
      const site = await withRedis();
      const subscriber = createClient({ url: redis.url });
      await subscriber.connect();
      open.push({ close: () => subscriber.destroy() });
      const heard: string[] = [];
      await subscriber.subscribe("group_é", (message) => heard.push(message));
      const posts = [
        ["b", false, "<p>Tör — 🎉</p>"],
        ["10", true, "A"],
        ["9", true, ""],
      ] as const;
      await site.save("é", { posts });
      await site.save("é", { removals: ["b"] });
      await eventually(() =>
        expect(heard).toEqual([pythonJson({ renders: posts }), pythonJson({ removals: ["b"] })]),
      );
    });

    test("over Redis: one connection, however much is saved, and a new one when it was dropped", async () => {
      const site = await withRedis();
      const frames = await read("finals");
      const client = createClient({ url: redis.url });
      await client.connect();
      open.push({ close: () => client.destroy() });
      const publishers = async () =>
        (await client.sendCommand<string>(["CLIENT", "LIST"])).match(/^.* cmd=publish .*$/gm) ?? [];
      for (let n = 0; n < 20; n++) await site.save("finals", { posts: [[`${n}-`, true, "-"]] });
      const [connection, ...more] = await publishers();
      expect(more).toEqual([]);
      expect(connection).toContain(" db=1 ");
      await client.sendCommand(["CLIENT", "KILL", "ID", /\bid=(\d+)/.exec(connection!)![1]!]);
      expect((await site.save("finals", { posts: [["last", true, "-"]] })).logged).toEqual([]);
      expect(await publishers()).toHaveLength(1);
      await eventually(() => expect(idsOf(frames)).toHaveLength(21));
    });

    test("over Redis: what was saved into a connection that carries nothing any more is sent once more", async () => {
      const network = await cuttable(redis.url);
      open.push(network);
      const site = await withRedis({ WAGTAIL_LIVE_REDIS_URL: network.url.replace("http", "redis") });
      const frames = await read("finals");
      await site.save("finals", { posts: [["before", true, "-"]] });
      network.forget();
      expect((await site.save("finals", { posts: [["after", true, "-"]] })).logged).toEqual([]);
      await eventually(() => expect(idsOf(frames)).toEqual(["before", "after"]));
    });

    test("over Redis: a relay that is down is nothing to a site", async () => {
      const site = await withRedis();
      await relay.close();
      expect((await site.save("finals", { posts: [["a", true, "-"]] })).logged).toEqual([]);
    });

    test("over HTTP: to `tidings serve`, which keeps the posts' HTML as it is where it is told to", async () => {
      const server = await startTestServer({ token: TOKEN, trustedHtml: true });
      open.push(server);
      const site = await withHttp({ TIDINGS_URL: server.url });
      const { cursor } = (await server.api("GET", "/api/channels/finals")).json;
      const content = '<div class="live-post" data-post-id="10"><video src="a.webm"></video></div>';
      const posts = [
        ["10", true, content],
        ["9", true, "-"],
      ] as const;
      expect((await site.save("finals", { posts })).logged).toEqual([]);
      const kept = await fetch(`${server.url}/updates/channel/finals/?cursor=${cursor}`);
      expect(await kept.json()).toMatchObject({ renders: { 10: { content, at: 1 }, 9: { at: 2 } } });
    });

    test("over HTTP: the relay is down", async () => {
      const site = await withHttp({ TIDINGS_URL: `http://127.0.0.1:${await freePort()}/` });
      const { logged, seconds } = await site.save("finals", { posts: [["a", true, "-"]] });
      expect(logged).toEqual([expect.stringContaining("Connection refused")]);
      expect(seconds).toBeLessThan(5);
    });

    test("over HTTP: a wrong token is logged, and is not in the log", async () => {
      const site = await withHttp({ TIDINGS_TOKEN: "another-token-than-that" });
      const { logged } = await site.save("finals", { posts: [["a", true, "-"]] });
      expect(logged).toEqual([expect.stringMatching(/not told of an update: 401 .*"unauthorized"/)]);
      expect(logged[0]).not.toContain("another-token-than-that");
    });

    test("over HTTP: no token is told when the site starts", async () => {
      await expect(withHttp({ TIDINGS_TOKEN: "" })).rejects.toThrow(/ImproperlyConfigured: TIDINGS_TOKEN/);
    });

    test("over HTTP: a redirect is not followed, the token goes to nobody else", async () => {
      const asked: IncomingMessage[] = [];
      const server = createServer((request, response) => {
        asked.push(request);
        response.writeHead(301, { Location: "/elsewhere" }).end();
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      open.push(server);
      const site = await withHttp({
        TIDINGS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      });
      const { logged } = await site.save("finals", { posts: [["a", true, "-"]] });
      expect(logged).toEqual([expect.stringContaining("not told of an update: 301")]);
      expect(asked.map(({ url }) => url)).toEqual(["/api/channels/finals/updates"]);
    });
  });
});
