import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { folder, type Load, lacking, post, startLoad, startServer } from "../../bench/processes.ts";
import { treeOf } from "../../bench/usage.ts";
import { eventually } from "../../src/testing/runner.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

// Vitest ends its workers without their exit being told.
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A server that hands each update to `send`, with the readers' bare sockets. */
async function serve(send: (frame: Buffer, sockets: readonly Socket[], n: number) => void): Promise<Load> {
  const sockets: Socket[] = [];
  let count = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    send(framed(Buffer.concat(chunks)), sockets, count++);
    response.writeHead(204).end();
  }).listen(0, "127.0.0.1");
  new WebSocketServer({ server }).on("connection", (_socket, request) => sockets.push(request.socket));
  await once(server, "listening");
  const load = startLoad({ port: (server.address() as AddressInfo).port, publish: "/publish/live" });
  ends.push(
    load.end,
    () => server.closeAllConnections(),
    () => server.close(),
  );
  await load.open(20, "/ws/channel/live/");
  return load;
}

function framed(payload: Buffer): Buffer {
  const head = Buffer.from([0x81, 126, 0, 0]);
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** A server that has started another process. */
function parent(port: number): string[] {
  const code = `
    require("node:child_process").spawn("sleep", ["60"]);
    require("node:net").createServer().listen(${port}, "127.0.0.1");`;
  return [process.execPath, "-e", code];
}

/** Nobody may have asked yet how it ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe.skipIf(lacking !== undefined)("the load client, which needs Linux and gcc", () => {
  it("counts each update once for each reader", async () => {
    const load = await serve((frame, sockets) => {
      for (const socket of sockets) socket.write(frame);
    });
    const burst = await load.burst(4, 0.2);
    expect(burst.updates).toBeGreaterThan(10);
    expect(burst.deliveries).toBe(burst.updates * 20);
    expect(burst.bytes / burst.deliveries).toBeCloseTo(post().split("\n")[0]!.length + 4, -2);
    const { half, last } = await load.pace(100, 20);
    expect(half).toHaveLength(20);
    expect(last.every((ms, n) => ms >= half[n]! && half[n]! > 0)).toBe(true);
  });

  it("understands frames in pieces, and several in one", async () => {
    const kept: Buffer[] = [];
    let written = Promise.resolve();
    const load = await serve((frame, sockets, n) => {
      kept.push(frame);
      if (n % 2 === 0) return;
      const joined = Buffer.concat(kept.splice(0));
      // In pieces that cut through heads and payloads, a turn of the event loop apart.
      for (const piece of [joined.subarray(0, 3), joined.subarray(3, 700), joined.subarray(700)]) {
        written = written.then(async () => {
          for (const socket of sockets) socket.write(piece);
          await turn();
        });
      }
    });
    const { half } = await load.pace(50, 10);
    expect(half).toHaveLength(10);
    await load.idle(0.05);
  });

  const ASKED: readonly (readonly [string, (load: Load) => Promise<unknown>])[] = [
    ["a burst", (load) => load.burst(1, 0.1)],
    ["a paced run", (load) => load.pace(50, 5)],
    ["waiting", (load) => load.idle(0.1)],
  ];

  it.for(ASKED)("does not measure what sends an update twice: %s", async ([, ask]) => {
    const load = await serve((frame, sockets) => {
      for (const socket of sockets) socket.write(frame);
      sockets[0]!.write(frame);
    });
    // The last of them may still be on its way when all have the update.
    await load.pace(50, 2).catch(() => {});
    await expect(ask(load)).rejects.toThrow(/^\d+ frames wrong, 0 readers gone$/);
  });

  const WRONG: readonly (readonly [string, (frame: Buffer, n: number) => Buffer])[] = [
    ["another text", (frame) => Buffer.from(frame).fill("x", 400, 600)],
    ["only the number", (frame) => framed(Buffer.from(/SEQ\d+/.exec(String(frame))![0].padEnd(130)))],
    [
      "a frame that says it is compressed, unasked",
      (frame) => Buffer.concat([Buffer.of(0xc1), frame.subarray(1)]),
    ],
  ];

  it.for(WRONG)("does not measure what sends %s", async ([, change]) => {
    const load = await serve((frame, sockets, n) => {
      for (const socket of sockets) socket.write(change(frame, n));
    });
    await expect(load.pace(50, 4)).rejects.toThrow(/^\d+ frames wrong, 0 readers gone$/);
  });

  it("does not measure what sends updates to one reader in another order", async () => {
    const kept: Buffer[] = [];
    const load = await serve((frame, sockets, n) => {
      kept.push(frame);
      if (n % 2 === 0) return;
      const [first, second] = kept.splice(0) as [Buffer, Buffer];
      for (const [i, socket] of sockets.entries()) {
        socket.write(Buffer.concat(i === 5 ? [second, first] : [first, second]));
      }
    });
    await expect(load.pace(50, 4)).rejects.toThrow("1 frames wrong, 0 readers gone");
  });

  it("does not measure what lets a reader go", async () => {
    let ofReaders: readonly Socket[] = [];
    const load = await serve((frame, sockets) => {
      ofReaders = sockets;
      for (const socket of sockets) socket.write(frame);
    });
    await load.pace(50, 1);
    ofReaders[0]!.destroy();
    await expect(load.idle(0.1)).rejects.toThrow("0 frames wrong, 1 readers gone");
  });

  it("ends what a server has started with it", async () => {
    const server = await startServer((port) => ({ command: parent(port) }));
    const all = treeOf(server.pid);
    expect(all).toHaveLength(2);
    await server.stop();
    await eventually(() => expect(all.filter(isRunning)).toEqual([]));
  });

  it("says why a server does not start", async () => {
    const fails = ["-e", "console.error('no such page'); process.exit(3)"];
    const server = startServer(() => ({ command: [process.execPath, ...fails] }));
    await expect(server).rejects.toThrow(/ended with 3: no such page/);
    await expect(startServer(() => ({ command: ["/no/such/program"] }))).rejects.toThrow(/no such/i);
  });

  it("says what the server answered when it refuses", async () => {
    const server = createServer((_request, response) => response.writeHead(403).end()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const load = startLoad({ port: (server.address() as AddressInfo).port, publish: "/" });
    ends.push(load.end, () => server.close());
    server.on("upgrade", (_request, socket) => {
      socket.on("error", () => {}); // the client leaves without a word
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    await expect(load.open(1, "/")).rejects.toThrow("403");
  });
});
