import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { BoundedResponse } from "../../src/app/response.ts";
import { eventually } from "../../src/testing/runner.ts";
import { heapUsed } from "../support/heap.ts";

const MB = 1_000_000;
const READERS = 60;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanup.splice(0)) clean();
});

/** Answers each request with so many bytes. Who asks twice finds the sockets between full the second time. */
async function start(answerOf: (url: string) => Buffer | Promise<Buffer>) {
  const server = createServer({ ServerResponse: BoundedResponse }, async ({ url = "" }, response) => {
    response.end(await answerOf(url));
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  cleanup.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const ask = async (requests = get("/").repeat(3)): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    cleanup.push(() => socket.destroy());
    socket.pause().write(requests);
    return socket;
  };
  const held = () => [...sockets].reduce((sum, { writableLength }) => sum + writableLength, 0);
  return { sockets, ask, held };
}

describe("answers that are not taken", () => {
  it("are held up to 256 MB, and those that were taken longest ago go first", async () => {
    const { sockets, ask, held } = await start((url) => Buffer.alloc(url === "/long" ? 40 * MB : 9 * MB));
    const slow = await ask(get("/long"));
    const [served] = sockets;
    const unsent = () =>
      (served as unknown as { _handle: { writeQueueSize: number } })._handle.writeQueueSize;
    // Not fast, but all the time.
    slow.on("data", () => {
      slow.pause();
      setTimeout(() => slow.resume(), 4);
    });
    slow.resume();
    // Eight of them and the slow one are 256 MB.
    for (let n = 0; n < 11; n++) {
      const before = unsent();
      await ask();
      // The system takes what it sends in lumps: some of it since the others have asked.
      if (n >= 4) await eventually(() => expect(unsent()).toBeLessThan(before));
      await eventually(() => expect(held()).toBeLessThanOrEqual((256 + 27) * MB));
    }
    await eventually(() => expect(sockets.size).toBeLessThan(10));
    expect(sockets.size).toBeGreaterThan(3);
    expect(sockets).toContain(served);
  });

  it("that are one and the same cost what one costs", async () => {
    const same = Buffer.alloc(9 * MB);
    const { sockets, ask } = await start(() => same);
    for (let n = 0; n < READERS; n++) await ask();
    // All have been begun by now.
    await eventually(() => expect([...sockets].every(({ writableLength }) => writableLength > 0)).toBe(true));
    expect(sockets.size).toBe(READERS);
  });

  it("that are made when their reader has left are not held", async () => {
    const left = Promise.withResolvers<void>();
    let asked = 0;
    const { sockets, ask } = await start(async () => {
      asked++;
      await left.promise;
      return Buffer.alloc(9 * MB);
    });
    await heapUsed();
    const before = process.memoryUsage().arrayBuffers;
    const readers = await Promise.all(Array.from({ length: 10 }, () => ask(get("/"))));
    await eventually(() => expect(asked).toBe(10));
    for (const reader of readers) reader.destroy();
    await eventually(() => expect(sockets.size).toBe(0));
    left.resolve();
    await heapUsed();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(45 * MB);
  });
});
