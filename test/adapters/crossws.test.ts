import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { AdapterOptions } from "crossws";
import nodeAdapter from "crossws/adapters/node";
import nodeAdapter03 from "crossws-0.3/adapters/node";
import { describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { crosswsWebSocket } from "../../src/adapters/crossws.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import { onBun } from "../support/on-bun.ts";
import { statusOf } from "../support/upgrade.ts";
import { crosswsOnBun } from "./crossws-on-bun.ts";

/** What srvx makes of a request for crossws: a Fetch request that knows the address. */
function fetchRequest(request: IncomingMessage): Request {
  const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]);
  const fetched = new Request(`http://${request.headers.host}${request.url}`, { headers });
  return Object.assign(fetched, { ip: request.socket.remoteAddress });
}

async function listen(options: AdapterOptions): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((_request, response) => response.writeHead(404).end());
  const ws = nodeAdapter({ ...options, serverOptions: { maxPayload: 4096 } });
  server.on("upgrade", (request, socket, head) => {
    void ws.handleUpgrade(request, socket, head, fetchRequest(request));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      ws.closeAll(1001, "", true);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

adapterSuite({ describe, it }, { start: (hub) => listen({ hooks: crosswsWebSocket(hub) }) });

/** The version that h3 1, and hence Nuxt 4, is made with. It hands over no address. */
async function listen03(hub: Hub): Promise<{ url: string; close(): Promise<void> }> {
  const addressOf = (request: Request) =>
    (request as Request & { _req: IncomingMessage })._req.socket.remoteAddress;
  const server = createServer((_request, response) => response.writeHead(404).end());
  const ws = nodeAdapter03({
    hooks: crosswsWebSocket(hub, { addressOf }),
    serverOptions: { maxPayload: 4096 },
  });
  server.on("upgrade", ws.handleUpgrade).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      ws.closeAll(1001, "", true);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("crossws 0.3", () => adapterSuite({ describe, it }, { start: listen03 }));

crosswsOnBun(onBun(new URL("crossws-on-bun.ts", import.meta.url)));

describe("crossws adapter", () => {
  it("is chosen by a resolver, below a base, beside others' hooks", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const live = crosswsWebSocket(hub, { base: "/live" });
    const { url, close } = await listen({
      resolve: ({ url }) =>
        new URL(url).pathname.startsWith("/live/")
          ? live
          : { open: (peer) => void peer.send("from others' hooks") },
    });
    expect(await statusOf(`${url}/live/ws/channel/finals/`)).toBe(101);
    expect(await statusOf(`${url}/live/elsewhere`)).toBe(404);
    expect(hub.stats().admitted).toBe(1);
    const other = new WebSocket(`${url}/chat`);
    expect(String((await once(other, "message"))[0])).toBe("from others' hooks");
    other.terminate();
    await hub.close();
    await close();
  });

  it("gives back the place of a handshake that failed", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const hub = createHub({ log: memoryLog(), bus: memoryBus(), maxConnectionsPerAddress: 1 });
    const { url, close } = await listen({ hooks: crosswsWebSocket(hub) });
    // `ws` refuses a handshake without a key, after the hook has let it in.
    const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
    const malformed = get(`${url.replace("ws:", "http:")}/ws/channel/finals/`, { headers });
    const [response] = (await once(malformed, "response")) as [IncomingMessage];
    expect(response.resume().statusCode).toBe(400);
    expect(await statusOf(`${url}/ws/channel/finals/`)).toBe(429);
    vi.advanceTimersByTime(10_000);
    expect(await statusOf(`${url}/ws/channel/finals/`)).toBe(101);
    vi.useRealTimers();
    await hub.close();
    await close();
  });
});
