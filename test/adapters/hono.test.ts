import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { type ServerType, serve, upgradeWebSocket, type WebSocketServerLike } from "@hono/node-server";
import { getConnInfo } from "@hono/node-server/conninfo";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { honoWebSocket } from "../../src/adapters/hono.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import { CLOSE, handshake, kindsOfFrames } from "../../src/testing/by-hand.ts";
import { eventually } from "../../src/testing/runner.ts";
import { onBun } from "../support/on-bun.ts";
import { statusOf } from "../support/upgrade.ts";
import { honoOnBun } from "./hono-on-bun.ts";

async function listen(app: Hono) {
  const wss = new WebSocketServer({ noServer: true, maxPayload: 4096 });
  const server: ServerType = serve({
    fetch: app.fetch,
    port: 0,
    hostname: "127.0.0.1",
    websocket: { server: wss as WebSocketServerLike },
  });
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    clients: wss.clients,
    async close() {
      for (const socket of wss.clients) socket.terminate();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

adapterSuite(
  { describe, it },
  {
    start: (hub) => {
      const app = new Hono();
      app.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket, getConnInfo }));
      return listen(app);
    },
  },
);

honoOnBun(onBun(new URL("hono-on-bun.ts", import.meta.url)));

describe("hono adapter", () => {
  it("says nothing behind the close frame of a site that closes its sockets itself", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = createHub({ log, bus });
    const publisher = createPublisher({ log, bus });
    const app = new Hono();
    app.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket }));
    const { url, clients, close } = await listen(app);
    const { port, hostname, host, pathname } = new URL(`${url}/ws/channel/finals/`);
    // It answers no close.
    const reader = connect(Number(port), hostname, () => reader.write(handshake(pathname, host)));
    const received: Buffer[] = [];
    reader.on("error", () => {});
    reader.on("data", (data: Buffer) => received.push(data));
    await eventually(() => expect(hub.stats().readers).toBe(1));
    await publisher.publish("finals", { 1: { show: true, content: "before" } });
    await eventually(() => expect(kindsOfFrames(Buffer.concat(received))).toHaveLength(1));
    for (const socket of clients) socket.close(1001);
    for (let n = 2; n < 6; n++) {
      await publisher.publish("finals", { [n]: { show: true, content: "after" } });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ended = once(reader, "close");
    await close();
    await ended;
    expect(kindsOfFrames(Buffer.concat(received)).at(-1)).toBe(CLOSE);
    await hub.close({ drainMs: 100 });
  });

  it("is a handler like any other: below a base, behind middleware, beside routes", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const site = new Hono();
    site.use(async (c, next) => (c.req.header("authorization") ? next() : c.text("no", 401)));
    site.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket }));
    const app = new Hono().route("/live", site).get("/page", (c) => c.text("a page"));
    const { url, close } = await listen(app);
    const headers = { authorization: "Bearer reader" };
    expect(await statusOf(`${url}/live/ws/channel/finals/`)).toBe(401);
    expect(await statusOf(`${url}/live/ws/channel/finals/`, { headers })).toBe(101);
    expect(await statusOf(`${url}/ws/channel/finals/`, { headers })).toBe(404);
    const plain = url.replace("ws:", "http:");
    expect(await (await fetch(`${plain}/page`)).text()).toBe("a page");
    expect((await fetch(`${plain}/live/ws/channel/finals/`, { headers })).status).toBe(404);
    await hub.close();
    await close();
  });
});
