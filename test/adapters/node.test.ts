import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
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
});
