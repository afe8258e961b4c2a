import dns from "node:dns";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTestServer, type TestServer } from "../support/server.ts";

// Not every machine has ::1, and none of Linux lacks the second of these.
const ADDRESSES = ["127.0.0.1", "127.0.0.2"] as const;

describe("a server on localhost, which is two addresses", () => {
  let server: TestServer;
  let port: number;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    const found = ADDRESSES.map((address) => ({ address, family: 4 }));
    vi.spyOn(dns.promises, "lookup").mockResolvedValue(found as never);
    server = await startTestServer({ host: "localhost", drainSeconds: 300 });
    port = Number(new URL(server.url).port);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const socket of sockets.splice(0)) socket.destroy();
    await server.close();
  });

  async function open(host: string) {
    const socket = connect(port, host);
    sockets.push(socket);
    socket.on("error", () => {});
    await once(socket, "connect");
    return {
      socket,
      async ask(path: string): Promise<string> {
        socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
        const [answer] = await once(socket, "data");
        return String(answer);
      },
    };
  }

  it.each(ADDRESSES)("tells of its drain, and ends who asks for nothing, on %s", async (host) => {
    const busy = await open(host);
    expect(await busy.ask("/healthz")).toMatch(/^HTTP\/1\.1 200 (?![\s\S]*connection: close)/i);
    void server.drain();
    expect(await busy.ask("/healthz")).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i);
    const { socket } = await open(host);
    const ended = once(socket, "close");
    await server.close();
    await ended;
    const [refused] = await once(connect(port, host), "error");
    expect(refused.code).toBe("ECONNREFUSED");
  });
});
