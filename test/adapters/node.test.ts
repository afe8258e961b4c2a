import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";

async function start(hub: Hub) {
  const server = createServer((_request, response) => response.writeHead(404).end());
  const detach = attachWebSocket(server, hub);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    server,
    async close() {
      detach();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

adapterSuite({ describe, it }, { start });

describe("node adapter", () => {
  it("leaves other upgrade handlers of the server alone", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const { url, server, close } = await start(hub);
    const others = new WebSocketServer({ noServer: true });
    server.on("upgrade", (request, socket, head) => {
      if (request.url !== "/chat") return;
      others.handleUpgrade(request, socket, head, (chat) => chat.send("from another handler"));
    });
    const socket = new WebSocket(`${url}/chat`);
    const message = await new Promise((resolve) => socket.once("message", (data) => resolve(String(data))));
    expect(message).toBe("from another handler");
    const reader = new WebSocket(`${url}/ws/channel/finals/`);
    await new Promise((resolve) => reader.once("open", resolve));
    reader.terminate();
    socket.terminate();
    await hub.close();
    await close();
  });

  it("two on one server each serve their own, and other paths get 404", async () => {
    const [one, two] = [1, 2].map(() => createHub({ log: memoryLog(), bus: memoryBus() }));
    const server = createServer();
    const detach = [
      attachWebSocket(server, one!, { base: "/one" }),
      attachWebSocket(server, two!, { base: "/two" }),
    ];
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const opened = (path: string) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url + path);
        socket.on("open", () => resolve(200));
        socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
        socket.on("error", () => {});
      });
    expect(await Promise.all([opened("/one/ws/channel/a/"), opened("/two/ws/channel/a/")])).toEqual([
      200, 200,
    ]);
    expect([one!.stats().readers, two!.stats().readers]).toEqual([1, 1]);
    expect(await opened("/three/ws/channel/a/")).toBe(404);
    for (const end of detach) end();
    server.close();
    await Promise.all([one!.close(), two!.close()]);
  });

  describe("a reader that is silent", () => {
    async function open() {
      const hub = createHub({ log: memoryLog(), bus: memoryBus() });
      vi.useFakeTimers({ toFake: ["setInterval"] });
      const { url, close } = await start(hub);
      const reader = new WebSocket(`${url}/ws/channel/finals/`, { autoPong: false });
      await new Promise((resolve) => reader.once("open", resolve));
      const intervals = async (n: number) => {
        for (let i = 0; i < n; i++) {
          vi.advanceTimersByTime(30_000);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };
      const end = async () => {
        vi.useRealTimers();
        reader.terminate();
        await hub.close({ drainMs: 100 });
        await close();
      };
      return { hub, reader, intervals, end };
    }

    it("and answers no ping is cut off, not before 60 s", async () => {
      const { hub, intervals, end } = await open();
      await intervals(2);
      expect(hub.stats().readers).toBe(1);
      await intervals(1);
      expect(hub.stats().readers).toBe(0);
      await end();
    });

    it("but answers pings stays", async () => {
      const { hub, reader, intervals, end } = await open();
      reader.on("ping", () => reader.pong());
      await intervals(5);
      expect(hub.stats().readers).toBe(1);
      await end();
    });
  });
});
