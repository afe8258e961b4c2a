import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { describeWithPython, type PythonProgram, startPython } from "../support/python.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";
import { type Service, startService } from "../support/services.ts";
import { sitePost } from "../support/wagtail.ts";

// Django Channels' own layer, in Python, before a relay.

const MODULES = ["django", "channels", "channels_redis", "redis", "cryptography"];
const LAYER = fileURLToPath(new URL("./channels/layer.py", import.meta.url));

interface Event {
  readonly type: string;
  readonly renders?: unknown;
  readonly removals?: unknown;
}

describeWithPython(MODULES, () => {
  describeWith("redis", () => {
    let redis: Service;
    let relay: TestRelay;
    let layer: PythonProgram;
    const sockets: WebSocket[] = [];

    beforeEach(async () => {
      redis = await startService("redis");
    });
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.terminate();
      await relay.close();
      await layer.close();
      await redis.close();
    });

    async function startWith(prefix: string): Promise<void> {
      relay = await startTestRelay(redis.url, { channelsPrefix: prefix, token: "a-token-of-the-tests" });
      layer = await startPython(MODULES, [LAYER, JSON.stringify({ hosts: [redis.url], prefix })]);
    }

    const send = (page: string, event: Event, key?: string) =>
      layer.ask({ group: `liveblog_${page}`, event, key });

    async function read(page: string): Promise<unknown[]> {
      const socket = new WebSocket(`${relay.url.replace("http", "ws")}/ws/channel/${page}/`);
      sockets.push(socket);
      const frames: unknown[] = [];
      socket.on("message", (data) => frames.push(JSON.parse(String(data))));
      await once(socket, "open");
      return frames;
    }

    const update = (id: string, text: string, show = true): Event => ({
      type: "update",
      renders: { [id]: { show, content: sitePost(id, text) } },
      removals: [],
    });

    test.for(["asgi", "live blog"])(
      "readers get what is sent through a layer of prefix %s",
      async (prefix) => {
        await startWith(prefix);
        const frames = await read("finals");
        const elsewhere = await read("other");
        await send("finals", update("b", "Tör — 🎉"));
        await send("finals", update("b", "secret", false));
        await send("finals", { type: "update", renders: {}, removals: ["b", "a"] });
        await eventually(() => expect(frames).toHaveLength(3));
        expect(frames).toEqual([
          { renders: { b: { show: true, content: sitePost("b", "Tör — 🎉") } }, removals: [] },
          {
            renders: { b: { show: false, content: '<div class="live-post" data-post-id="b"></div>' } },
            removals: [],
          },
          { renders: {}, removals: ["b", "a"] },
        ]);
        expect(elsewhere).toEqual([]);
        expect(relay.warnings).toEqual([]);
      },
    );

    test("a page that Channels' own routing refuses works", async () => {
      await startWith("asgi");
      const frames = await read("-100123");
      await send("-100123", update("a", "A"));
      await eventually(() => expect(frames).toHaveLength(1));
    });

    test("another relay's readers get what is sent through a layer of another prefix not", async () => {
      await startWith("asgi");
      const other = await startTestRelay(redis.url, { channelsPrefix: "other" });
      try {
        const frames = await read("finals");
        const socket = new WebSocket(`${other.url.replace("http", "ws")}/ws/channel/finals/`);
        sockets.push(socket);
        let heard = 0;
        socket.on("message", () => heard++);
        await once(socket, "open");
        await send("finals", update("a", "A"));
        await eventually(() => expect(frames).toHaveLength(1));
        expect(other.warnings).toEqual([]);
        expect(heard).toBe(0);
      } finally {
        await other.close();
      }
    });

    test("an event of another type is none of ours", async () => {
      await startWith("asgi");
      const frames = await read("finals");
      await send("finals", { ...update("a", "A"), type: "chat.message" });
      await send("finals", update("b", "B"));
      await eventually(() => expect(frames).toHaveLength(1));
      expect(frames[0]).toMatchObject({ renders: { b: { show: true } } });
      expect(relay.warnings).toEqual([]);
    });

    test("of an event with a mistake in it the good posts are shown, and the mistake is logged", async () => {
      await startWith("asgi");
      const frames = await read("finals");
      const renders = { a: { show: true }, b: { show: true, content: "B" } };
      await send("finals", { type: "update", renders, removals: [7] });
      await eventually(() => expect(frames).toHaveLength(1));
      expect(frames[0]).toEqual({ renders: { b: renders.b }, removals: ["7"] });
      expect(relay.warnings.map(({ channel, err }) => [channel, err?.message])).toEqual([
        ["asgi__group__liveblog_finals", expect.stringContaining("renders.a.content")],
      ]);
    });

    test("what an encrypted layer sends is logged, one line each, with what is the matter", async () => {
      await startWith("asgi");
      const frames = await read("finals");
      await send("finals", update("a", "A"), "a secret of the site");
      await send("finals", update("a", "B"), "a secret of the site");
      await send("finals", update("a", "C"));
      await eventually(() => expect(frames).toHaveLength(1));
      expect(frames[0]).toMatchObject({ renders: { a: { content: sitePost("a", "C") } } });
      expect(relay.warnings.map(({ channel, err }) => [channel, err?.message])).toEqual(
        Array.from({ length: 2 }, () => [
          "asgi__group__liveblog_finals",
          expect.stringContaining("symmetric_encryption_keys"),
        ]),
      );
    });

    test("updates over HTTP reach readers, in the layer's own words", async () => {
      await startWith("asgi");
      const frames = await read("finals");
      const response = await fetch(`${relay.url}/api/channels/finals/updates`, {
        method: "POST",
        headers: { authorization: "Bearer a-token-of-the-tests", "content-type": "application/json" },
        body: JSON.stringify({ renders: { a: { show: true, content: "A" } } }),
      });
      expect(response.status).toBe(202);
      await eventually(() =>
        expect(frames).toEqual([{ renders: { a: { show: true, content: "A" } }, removals: [] }]),
      );
    });
  });
});
