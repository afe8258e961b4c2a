import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, describe, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import { CLOSE, handshake, kindsOfFrames, MASKED_CLOSE } from "../../src/testing/by-hand.ts";
import { eventually } from "../../src/testing/runner.ts";
import { selfSigned } from "../support/certificate.ts";
import { emptyFolder } from "../support/folder.ts";
import { heapUsed } from "../support/heap.ts";
import { slowNetwork } from "../support/slow-network.ts";

async function start(hub: Hub, server: Server = createServer()) {
  server.on("request", (_request, response) => response.writeHead(404).end());
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

describe("over TLS", () => {
  const folder = emptyFolder();
  afterAll(folder.dispose);
  selfSigned(folder.path);
  const [key, cert] = ["key.pem", "certificate.pem"].map((name) => readFileSync(join(folder.path, name)));

  // The suite speaks to sockets by hand, without TLS: a proxy that adds it stands between.
  adapterSuite(
    { describe, it },
    {
      async start(hub) {
        const site = await start(hub, createSecureServer({ key, cert }));
        const { port } = site.server.address() as AddressInfo;
        const proxy = createTcpServer({ allowHalfOpen: true }, (near) => {
          const far = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
          for (const [one, other] of [
            [near, far],
            [far, near],
          ] as const) {
            one.pipe(other);
            one.on("error", () => {}).on("close", () => other.destroy());
          }
        });
        await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
        return {
          url: `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
          async close() {
            await site.close();
            await new Promise((resolve) => proxy.close(resolve));
          },
        };
      },
    },
  );
});

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

  it("says nothing behind a close frame that waits in the socket", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = createHub({ log, bus });
    const publisher = createPublisher({ log, bus });
    const { url, server, close } = await start(hub);
    let held: Socket;
    server.prependListener("upgrade", (_request, socket) => {
      held = socket as Socket;
    });
    const { port, hostname, host, pathname } = new URL(`${url}/ws/channel/finals/`);
    const reader = connectTcp(Number(port), hostname, () => reader.write(handshake(pathname, host)));
    const received: Buffer[] = [];
    reader.on("error", () => {});
    reader.on("data", (data: Buffer) => received.push(data)).pause();
    await eventually(() => expect(hub.stats().readers).toBe(1));
    let version = 0;
    const publish = async () => {
      const content = `${++version} ${"x".repeat(1_000)}`;
      await publisher.publish("finals", { 1: { show: true, content } });
      await new Promise((resolve) => setImmediate(resolve));
    };
    while (held!.writableLength === 0) await publish();
    const before = held!.bytesWritten;
    reader.write(MASKED_CLOSE);
    await eventually(() => expect(held.bytesWritten).toBeGreaterThan(before));
    for (let n = 0; n < 5; n++) await publish();
    expect(hub.stats().lagging).toBe(0);
    const closed = new Promise((resolve) => reader.on("close", resolve));
    reader.resume();
    await closed;
    const kinds = kindsOfFrames(Buffer.concat(received));
    expect(kinds.indexOf(CLOSE)).toBe(kinds.length - 1);
    await hub.close();
    await close();
  });

  it("is told of no more than Node has read when who floods it is closed", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    let told = 0;
    const { url, close } = await start({
      ...hub,
      async admit(admission) {
        const answer = await hub.admit(admission);
        if ("status" in answer) return answer;
        return {
          ...answer,
          open(connection) {
            const reader = answer.open(connection);
            return {
              message(bytes) {
                told++;
                reader.message(bytes);
              },
              drained: () => reader.drained(),
              closed: () => reader.closed(),
            };
          },
        };
      },
    });
    const socket = new WebSocket(`${url}/ws/channel/finals/`);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("open", resolve));
    const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
    const { _socket: raw } = socket as unknown as { _socket: Socket };
    raw.on("error", () => {}).write(Buffer.alloc(2_000_000 * pong.length, pong));
    expect(await closed).toBe(1008);
    await eventually(() => expect(hub.stats().readers).toBe(0));
    // Of what it reads at once, what it holds then, and what the next look brings: 64 kB each.
    expect(told).toBeLessThan((3 * 65_536) / pong.length);
    await hub.close();
    await close();
  });

  it.each([
    ["offers no compression", false],
    ["offers compression, as browsers do", true],
  ])(
    "costs a reader that waits and %s hardly more memory than a bare `ws` server does",
    async (_, perMessageDeflate) => {
      const ignored = () => {};
      async function bare() {
        const server = createServer();
        const wss = new WebSocketServer({ server, perMessageDeflate });
        const all = new Set<WebSocket>();
        wss.on("connection", (socket) => {
          all.add(socket.on("error", ignored));
          socket.on("close", () => all.delete(socket));
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        return {
          url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
          close: () => server.close(),
        };
      }
      /** Both ends of a connection, its client's included. */
      async function bytesPerReader(url: string): Promise<number> {
        const clients: WebSocket[] = [];
        const open = async (count: number) => {
          for (let i = 0; i < count; i++) {
            const client = new WebSocket(`${url}/ws/channel/finals/`, { perMessageDeflate });
            clients.push(client.on("error", ignored));
            await new Promise((resolve) => client.once("open", resolve));
          }
        };
        await open(100);
        const before = await heapUsed();
        await open(1_000);
        const after = await heapUsed();
        await Promise.all(
          clients.map((client) => new Promise((resolve) => client.once("close", resolve).terminate())),
        );
        return (after - before) / 1_000;
      }
      const hub = createHub({ log: memoryLog(), bus: memoryBus() });
      const [ours, plain] = [await start(hub), await bare()];
      await bytesPerReader(plain.url); // so that neither pays for what is made once
      const [more, least] = [await bytesPerReader(ours.url), await bytesPerReader(plain.url)];
      expect(more - least).toBeLessThan(400);
      plain.close();
      await hub.close();
      await ours.close();
    },
  );

  describe("a reader that is silent", () => {
    async function open() {
      const [log, bus] = [memoryLog(), memoryBus()];
      const hub = createHub({ log, bus });
      const publisher = createPublisher({ log, bus });
      vi.useFakeTimers({ toFake: ["setInterval"] });
      const { url, close } = await start(hub);
      const network = await slowNetwork(url);
      // Compressed, all that follows would be little.
      const options = { autoPong: false, perMessageDeflate: false };
      const reader = new WebSocket(`ws://${network.host}/ws/channel/finals/`, options);
      const opened = new Promise((resolve) => reader.once("open", resolve));
      await network.bring(1);
      await opened;
      /** Far more than the system takes. */
      const fill = async () => {
        const content = "x".repeat(990_000);
        for (let n = 0; n < 20; n++) await publisher.publish("finals", { [n]: { show: true, content } });
        await eventually(() => expect(hub.stats().lagging).toBe(1));
      };
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
        await network.close();
        await close();
      };
      return { hub, reader, network, fill, intervals, end };
    }

    it("and answers no ping is cut off, not before 60 s", async () => {
      const { hub, network, intervals, end } = await open();
      void network.bring(1_000_000);
      await intervals(2);
      expect(hub.stats().readers).toBe(1);
      await intervals(1);
      expect(hub.stats().readers).toBe(0);
      await end();
    });

    it("but answers pings stays", async () => {
      const { hub, reader, network, intervals, end } = await open();
      reader.on("ping", () => reader.pong());
      void network.bring(1_000_000);
      await intervals(5);
      expect(hub.stats().readers).toBe(1);
      await end();
    });

    it("as it only reads slowly stays", async () => {
      const { hub, reader, network, fill, intervals, end } = await open();
      reader.on("ping", () => reader.pong());
      await fill();
      // Less at a time than a frame has, and than the system takes notice of.
      for (let n = 0; n < 36; n++) {
        await network.bring(300_000);
        await intervals(1);
        expect(hub.stats().readers).toBe(1);
      }
      await end();
    });

    it("with much on the way to it is cut off within 15 minutes", async () => {
      const { hub, fill, intervals, end } = await open();
      await fill();
      await intervals(3);
      expect(hub.stats().readers).toBe(1);
      await intervals(28);
      expect(hub.stats().readers).toBe(0);
      await end();
    });
  });
});
