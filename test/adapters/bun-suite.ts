/** What is tested on Bun: bun.test.ts starts this file there. Prints each test's outcome as a line of JSON. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { WebSocket } from "ws";
import {
  type BunAdapterOptions,
  type BunServer,
  type BunSocket,
  bunWebSocket,
} from "../../src/adapters/bun.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import type { Admission, Connection, Topics } from "../../src/hub/connection.ts";
import { createHub, type Hub, type HubOptions } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import { eventually } from "../../src/testing/runner.ts";
import type { RunnerThatSkips } from "../../src/testing/site.ts";
import { LEFT_OUT_ON_BUN } from "../support/tell.ts";

declare const Bun: {
  serve(options: object): BunServer & { readonly port: number; stop(closeActive: boolean): Promise<void> };
};

export async function start(
  hub: Hub,
  options: BunAdapterOptions = {},
): Promise<{ url: string; close(): Promise<void> }> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", ...bunWebSocket(hub, options) });
  return { url: `ws://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}

export function bunTests({ describe, it }: RunnerThatSkips): void {
  const test = (
    name: string,
    options: BunAdapterOptions & Partial<Pick<HubOptions, "log" | "bus" | "maxConnectionsPerAddress">>,
    body: (url: string, hub: Hub) => Promise<void>,
  ) =>
    it(name, async () => {
      const { log = memoryLog(), bus = memoryBus(), maxConnectionsPerAddress = 0 } = options;
      const hub = createHub({ log, bus, maxConnectionsPerAddress });
      const { url, close } = await start(hub, options);
      try {
        await body(url, hub);
      } finally {
        await hub.close({ drainMs: 1_000 });
        await close();
      }
    });

  describe("bun adapter", () => {
    const told: string[] = [];
    const others: BunAdapterOptions = {
      fetch: (request, server) =>
        server.upgrade(request, { data: "chat" }) ? undefined : new Response("a page of the site"),
      websocket: {
        open: (socket) => void socket.send(`hello ${socket.data}`),
        message: (socket, text) => void socket.send(`you said ${text}`),
        close: (_socket, code, reason) => void told.push(`${code} ${reason}`),
      },
    };
    test("leaves other requests and sockets of the server to their handlers", others, async (url, hub) => {
      for (const path of ["/", "/ws/channel/finals/"]) {
        const answer = await fetch(url.replace("ws:", "http:") + path);
        assert.equal(await answer.text(), "a page of the site");
      }
      const chat = new WebSocket(`${url}/chat`);
      assert.equal(await nextText(chat), "hello chat");
      chat.send("hi");
      assert.equal(await nextText(chat), "you said hi");
      const reader = await opened(`${url}/ws/channel/finals/`);
      assert.equal(hub.stats().readers, 1);
      reader.close();
      await eventually(() => assert.equal(hub.stats().readers, 0));
      chat.close(4000, "bye");
      await eventually(() => assert.deepEqual(told, ["4000 bye"]));
    });

    test("serves below a base, and only there", { base: "/live" }, async (url, hub) => {
      (await opened(`${url}/live/ws/channel/finals/`)).terminate();
      await eventually(() => assert.equal(hub.stats().admitted, 1));
      await assert.rejects(opened(`${url}/ws/channel/finals/`));
    });

    test("takes the address and the host from what it is told", {
      addressOf: (request) => request.headers.get("x-address") ?? undefined,
      hostOf: () => "news.example",
      maxConnectionsPerAddress: 1,
    }, async (url) => {
      const headers = (address: string) => ({ origin: "https://news.example", "x-address": address });
      const path = `${url}/ws/channel/finals/`;
      const [one, two] = [await opened(path, headers("one")), await opened(path, headers("two"))];
      await assert.rejects(opened(path, headers("one")));
      for (const socket of [one, two]) socket.terminate();
    });

    test("gives the place of a malformed handshake back", { maxConnectionsPerAddress: 1 }, async (url) => {
      const { hostname, port } = new URL(url);
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () =>
          socket.write(
            `GET /ws/channel/finals/ HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\n` +
              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
          ),
        );
        socket.once("data", (data) => resolve(String(data).slice(0, 12)));
        socket.on("error", reject);
      });
      assert.equal(answer, "HTTP/1.1 400");
      (await opened(`${url}/ws/channel/finals/`)).terminate();
    });

    it("sends away who is let in while the hub closes", async () => {
      const hub = createHub({ log: memoryLog(), bus: memoryBus() });
      const closing: Hub = {
        ...hub,
        async admit(admission) {
          const answer = await hub.admit(admission);
          void hub.close();
          return answer;
        },
      };
      const { url, close } = await start(closing);
      const socket = new WebSocket(`${url}/ws/channel/finals/`);
      const code = new Promise((resolve) => socket.once("close", resolve));
      assert.match(await nextText(socket), /"retry":\[500,2000\]/);
      assert.equal(await code, 1012);
      await eventually(() => assert.equal(hub.stats().readers, 0));
      await close();
    });

    const tight: BunAdapterOptions = { websocket: { backpressureLimit: 1_000, message() {} } };
    const shared = { log: memoryLog(), bus: memoryBus() };
    test("lets nobody miss a frame that Bun dropped", { ...tight, ...shared }, async (url, hub) => {
      const publisher = createPublisher(shared);
      const reader = await opened(`${url}/ws/channel/finals/`);
      reader.pause();
      await eventually(() => assert.equal(hub.stats().readers, 1));
      // More than Bun may hold, and less than the hub takes for full.
      const content = "x".repeat(10_000);
      for (let n = 0; n < 2_000 && hub.stats().readers === 1; n++) {
        await publisher.publish("finals", { live: { show: true, content: `${n} ${content}` } });
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(hub.stats().readers, 0);
      reader.terminate();
    });

    const content = "x".repeat(100_000);
    for (const [what, settings, together] of [
      ["where it drops early", tight, 1],
      ["where many updates leave together", {}, 300],
    ] as const) {
      const [log, bus] = [memoryLog(), memoryBus()];
      const publisher = createPublisher({ log, bus });
      test(`publishes nothing that Bun might drop: ${what}`, { ...settings, log, bus }, async (url, hub) => {
        const reader = await opened(`${url}/ws/channel/finals/`);
        const isThere = nextText(reader);
        await publisher.publish("finals", { first: { show: true, content: "" } });
        await isThere;
        reader.pause();
        await eventually(async () => {
          const updates = Array.from({ length: together }, (_, n) =>
            publisher.publish("finals", { [n]: { show: true, content: `${Math.random()} ${content}` } }),
          );
          await Promise.all(updates);
          await new Promise((resolve) => setImmediate(resolve));
          assert.equal(hub.stats().readers, 0);
        });
        reader.terminate();
      });
    }

    it("brings what is sent and what is published in the order of the calls", async () => {
      const entered = Promise.withResolvers<{ topics: Topics<string>; connection: Connection<string> }>();
      // A hub that lets anybody in, and leaves the rest to the test.
      const hub = {
        admit: async ({ transport }: Admission<string>) => ({
          open(connection: Connection<string>) {
            entered.resolve({ topics: transport.topics!, connection });
            return { message() {}, drained() {}, closed() {} };
          },
          cancel() {},
        }),
      } as unknown as Hub;
      const { url, close } = await start(hub);
      const socket = await opened(`${url}/ws/channel/finals/`);
      const got: string[] = [];
      socket.on("message", (data) => got.push(String(data).slice(0, 2)));
      const { topics, connection } = await entered.promise;
      const large = "x".repeat(50_000); // Bun writes it at once, and a small one at the end of the turn
      connection.send("a0");
      topics.publish("finals", ["too early"]);
      topics.subscribe(connection, "finals");
      topics.publish("finals", ["a1", "a2"]);
      connection.send("a3");
      topics.publish("finals", ["a4", `a5${large}`, "a6"]);
      topics.publish("other", ["another page"]);
      topics.unsubscribe(connection, "finals");
      topics.publish("finals", ["too late"]);
      connection.send(`a7${large}`);
      topics.subscribe(connection, "finals");
      topics.publish("finals", ["a8"]);
      await eventually(() => assert.equal(got.at(-1), "a8"));
      assert.deepEqual(
        got,
        Array.from({ length: 9 }, (_, n) => `a${n}`),
      );
      socket.terminate();
      await close();
    });

    it("lets a reader who stops reading hold little, and the others have all", async () => {
      const [log, bus] = [memoryLog(), memoryBus()];
      const [hub, publisher] = [createHub({ log, bus }), createPublisher({ log, bus })];
      const handlers = bunWebSocket(hub);
      const sockets: BunSocket[] = [];
      const server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        ...handlers,
        websocket: {
          ...handlers.websocket,
          open(socket: BunSocket) {
            sockets.push(socket);
            return handlers.websocket.open(socket);
          },
        },
      });
      const updates = 200;
      const got: string[][] = [];
      for (let n = 0; n < 10; n++) {
        const reader = await opened(`ws://127.0.0.1:${server.port}/ws/channel/finals/`);
        const ids: string[] = [];
        reader.on("message", (data) => ids.push(...Object.keys(JSON.parse(String(data)).renders)));
        if (n === 0) reader.pause();
        else got.push(ids);
      }
      await eventually(() => assert.equal(hub.stats().readers, 10));
      let held = 0;
      for (let n = 1; n <= updates; n++) {
        await publisher.publish("finals", { [n]: { show: true, content } });
        await eventually(() => {
          for (const ids of got) assert.equal(ids.length, n);
        });
        held = Math.max(held, ...sockets.map((socket) => socket.getBufferedAmount()));
      }
      assert.equal(hub.stats().lagging, 1);
      // What the hub puts up with, and the update that went over it.
      assert.ok(held < 16 * 1024 + 2 * content.length, `${held} bytes`);
      const all = Array.from({ length: updates }, (_, n) => String(n + 1));
      for (const ids of got) assert.deepEqual(ids, all);
      await hub.close({ drainMs: 0 });
      await server.stop(true);
    });

    it("does not mix up the pages of two adapters on one server", async () => {
      const sites = ["/one", "/two"].map((base) => {
        const [log, bus] = [memoryLog(), memoryBus()];
        const hub = createHub({ log, bus });
        return { base, hub, publisher: createPublisher({ log, bus }) };
      });
      const [one, two] = sites as [(typeof sites)[0], (typeof sites)[0]];
      const second = bunWebSocket(two.hub, { base: two.base });
      const { url, close } = await start(one.hub, {
        base: one.base,
        fetch: second.fetch,
        websocket: { ...second.websocket },
      });
      const readers = [];
      for (const { base, hub } of sites) {
        readers.push(await opened(`${url}${base}/ws/channel/finals/`));
        await eventually(() => assert.equal(hub.stats().readers, 1));
      }
      const texts = Promise.all(readers.map(nextText));
      for (const { base, publisher } of sites)
        await publisher.publish("finals", { 1: { show: true, content: base } });
      for (const [n, text] of (await texts).entries()) assert.match(text, new RegExp(sites[n]!.base));
      for (const { hub } of sites) await hub.close({ drainMs: 0 });
      await close();
    });

    test(
      "cuts off who answers no ping, and nobody else",
      {
        websocket: { idleTimeout: 1, message() {} },
      },
      async (url, hub) => {
        const silent = connect(Number(new URL(url).port), "127.0.0.1", () => silent.write(handshake));
        const gone = new Promise((resolve) => silent.once("close", resolve));
        silent.resume();
        const reader = await opened(`${url}/ws/channel/finals/`);
        await eventually(() => assert.equal(hub.stats().readers, 2));
        await gone;
        await eventually(() => assert.equal(hub.stats().readers, 1));
        assert.equal(reader.readyState, WebSocket.OPEN);
        reader.terminate();
      },
    );
  });
}

const handshake =
  "GET /ws/channel/finals/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async function opened(url: string, headers: Record<string, string> = {}): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

function nextText(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => socket.once("message", (data) => resolve(String(data))));
}

if ("Bun" in globalThis) {
  const tests: { name: string; body: () => Promise<void> }[] = [];
  const it = Object.assign((name: string, body: () => Promise<void>) => tests.push({ name, body }), {
    skip: () => {},
  });
  const runner: RunnerThatSkips = { describe: (_name, body) => body(), it };
  adapterSuite(runner, { start, skip: LEFT_OUT_ON_BUN });
  bunTests(runner);
  for (const { name, body } of tests) {
    const error = await body().then(
      () => undefined,
      (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)),
    );
    console.log(JSON.stringify({ name, error }));
  }
  process.exit();
}
