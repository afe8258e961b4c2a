/** What strangers do, and how each must end. */
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { deflateRawSync } from "node:zlib";
import type { OneServer } from "../one-server.ts";
import { link } from "../processes/network.ts";
import { CHANNEL } from "./siege.ts";
import { type Ending, type FrameParts, frame, type Stranger, stranger, wsStranger } from "./stranger.ts";

export interface Attack {
  readonly name: string;
  /** How each may end. */
  readonly ends: readonly Ending[];
  /** Takes a minute and more. */
  readonly isLong?: boolean;
  /** Found, and not mended yet: CI leaves it out. */
  readonly isOpen?: boolean;
  /** @param scale 1 for all of it, less for a part. @returns how each ended. */
  readonly run: (server: OneServer, scale: number) => Promise<readonly Ending[]>;
}

const SOON_MS = 10_000;
/** A flood goes on for so long, unless it is ended. */
const FLOOD_MS = 3_000;

/** Of the loopback, one for each attack, so that none is met with another's limit. */
let lastAddress = 1;
const newAddress = () => `127.0.1.${lastAddress++}`;

const many = <T>(n: number, make: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: Math.max(1, Math.round(n)) }, make));

/** Sends a frame again and again, and reads nothing meanwhile. */
async function flood(one: Stranger, ...parts: readonly FrameParts[]): Promise<Ending> {
  const [first, ...rest] = parts.map(frame);
  await one.send(first!);
  const bulk = Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.concat(rest)));
  const until = Date.now() + FLOOD_MS;
  one.socket.pause();
  while (!one.isGone && one.socket.writable && Date.now() < until) {
    // What the server does not take any more must not keep this one here.
    await Promise.race([one.send(bulk), wait(1_000)]);
    await wait(0);
  }
  one.socket.resume();
  return one.ending(SOON_MS);
}

const withFrames =
  (...parts: readonly FrameParts[]): Attack["run"] =>
  async ({ port }, scale) => {
    const from = newAddress();
    return many(100 * scale, async () => {
      const one = await wsStranger(port, from, CHANNEL);
      for (const part of parts) await one.send(frame(part));
      return one.ending(SOON_MS);
    });
  };

const withFlood =
  (...parts: readonly FrameParts[]): Attack["run"] =>
  async ({ port }, scale) => {
    const from = newAddress();
    return many(10 * scale, async () => flood(await wsStranger(port, from, CHANNEL), ...parts));
  };

const text = (content: string): Buffer => Buffer.from(content);

export const ATTACKS: readonly Attack[] = [
  {
    name: "one byte a second of a request",
    ends: [400, 408],
    isLong: true,
    async run({ port }, scale) {
      const from = newAddress();
      return many(500 * scale, async () => {
        const one = await stranger(port, from);
        const drip = setInterval(() => void one.send("G"), 1_000);
        const ending = await one.ending(60_000);
        clearInterval(drip);
        return ending;
      });
    },
  },
  {
    name: "one byte a second of a WebSocket's handshake",
    ends: [408],
    isLong: true,
    async run({ port }, scale) {
      const from = newAddress();
      return many(500 * scale, async () => {
        const one = await stranger(port, from);
        await one.send(`GET /ws/channel/${CHANNEL}/ HTTP/1.1\r\nUpgrade: websocket\r\nX-Slow: `);
        const drip = setInterval(() => void one.send("a"), 1_000);
        const ending = await one.ending(60_000);
        clearInterval(drip);
        return ending;
      });
    },
  },
  {
    name: "connections that say nothing",
    ends: [408, "cut off"],
    isLong: true,
    async run({ port }, scale) {
      const from = newAddress();
      return many(500 * scale, async () => (await stranger(port, from)).ending(60_000));
    },
  },
  {
    name: "headers without end",
    // Who goes on sending may lose the answer to the reset of its connection.
    ends: [431, "cut off"],
    async run({ port }, scale) {
      const from = newAddress();
      return many(100 * scale, async () => {
        const one = await stranger(port, from);
        await one.send("GET / HTTP/1.1\r\n");
        const until = Date.now() + FLOOD_MS;
        for (let n = 0; !one.isGone && Date.now() < until; n++) {
          await one.send(`X-${n}: ${"a".repeat(1_000)}\r\n`);
          await wait(1);
        }
        return one.ending(SOON_MS);
      });
    },
  },
  {
    name: "readers that stop reading",
    ends: ["kept"],
    async run({ port, metric, api }, scale) {
      const from = newAddress();
      const all = await many(1_000 * scale, () => wsStranger(port, from, CHANNEL));
      for (const { socket } of all) socket.pause();
      const content = [{ type: "text", value: "big ".repeat(20_000) }];
      for (let n = 0; n < 20; n++) {
        await (await api("POST", `/api/pages/${CHANNEL}/posts`, { content })).arrayBuffer();
        await wait(200);
      }
      const kept = (await metric("tidings_readers")) >= all.length;
      for (const { socket } of all) socket.destroy();
      return all.map(() => (kept ? "kept" : "cut off"));
    },
  },
  {
    name: "readers whose network forgot them (half open)",
    ends: ["cut off"],
    isLong: true,
    async run({ port, metric }, scale) {
      const way = await link(port);
      const others = await metric("tidings_readers");
      const all = await many(200 * scale, () => wsStranger(way.port, newAddress(), CHANNEL));
      way.forget();
      const until = Date.now() + 120_000;
      let left = all.length;
      while (left > 0 && Date.now() < until) {
        await wait(1_000);
        left = Math.max(0, (await metric("tidings_readers")) - others);
      }
      for (const { socket } of all) socket.destroy();
      await way.close();
      return all.map((_, n): Ending => (n < left ? "kept" : "cut off"));
    },
  },
  {
    name: "a frame that says it has 4 GB",
    ends: [1009],
    run: withFrames({ opcode: 2, length: 2 ** 32, payload: Buffer.alloc(1_000) }),
  },
  {
    name: "a message in fragments without end",
    ends: [1009],
    run: withFlood(
      { opcode: 1, fin: false, payload: text("a") },
      { opcode: 0, fin: false, payload: text("a".repeat(100)) },
    ),
  },
  {
    name: "empty fragments without end",
    ends: [1008, "cut off"],
    run: withFlood({ opcode: 1, fin: false }, { opcode: 0, fin: false }),
  },
  {
    name: "a compression bomb",
    ends: [1009],
    run: ({ port }, scale) =>
      manyBombs(port, 100 * scale, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
  },
  {
    name: "a compressed frame that nobody agreed to",
    ends: [1002],
    run: ({ port }, scale) => manyBombs(port, 100 * scale),
  },
  {
    name: "frames without a mask",
    ends: [1002],
    run: withFrames({ opcode: 1, masked: false, payload: text("hello") }),
  },
  {
    name: "text that is not UTF-8",
    ends: [1007],
    run: withFrames({ opcode: 1, payload: Buffer.from([0xff, 0xfe, 0xc0]) }),
  },
  {
    name: "messages without end",
    ends: [1008, "cut off"],
    run: withFlood({ opcode: 1, payload: text("a") }, { opcode: 1, payload: text("hello") }),
  },
  {
    name: "pings without end, the pongs not read",
    ends: [1008, "cut off"],
    run: withFlood({ opcode: 9 }, { opcode: 9, payload: Buffer.alloc(125) }),
  },
  {
    name: "10,000 connections from one address",
    ends: [101, 429],
    async run({ port }, scale) {
      const from = newAddress();
      const endings: Ending[] = [];
      const held: Stranger[] = [];
      for (let n = 0; n < 10_000 * scale; n += 100) {
        const some = await many(100, () => wsStranger(port, from, CHANNEL));
        held.push(...some);
        for (const one of some) {
          const ending = await one.ending(0);
          endings.push(ending === "kept" ? 101 : ending);
        }
      }
      for (const { socket } of held) socket.destroy();
      return endings;
    },
  },
  {
    name: "bodies of 1 GB without the token",
    ends: [401],
    run: ({ port }, scale) => manyBodies(port, "", 20 * scale),
  },
  {
    name: "bodies of 1 GB with it",
    ends: [413],
    run: ({ port, authorization }, scale) =>
      manyBodies(port, `Authorization: ${authorization}\r\n`, 20 * scale),
  },
  {
    name: "polls of invented pages",
    ends: [200],
    async run({ host }, scale) {
      const endings: Ending[] = [];
      for (let n = 0; n < 10_000 * scale; n += 50) {
        await many(50, async () => {
          const url = `http://${host}/updates/channel/invented-${Math.random()}/?cursor=`;
          const answer = await fetch(url);
          await answer.arrayBuffer();
          endings.push(answer.status);
        });
      }
      return endings;
    },
  },
  {
    name: "requests for the page without end, the answers not read",
    ends: ["cut off"],
    isOpen: true,
    async run({ port }, scale) {
      const from = newAddress();
      return many(10 * scale, async () => {
        const one = await stranger(port, from);
        one.socket.pause();
        const bulk = `GET /live/${CHANNEL}/ HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(100);
        const until = Date.now() + FLOOD_MS;
        while (!one.isGone && Date.now() < until) await Promise.race([one.send(bulk), wait(500)]);
        const ending = one.isGone ? "cut off" : "kept";
        one.socket.destroy();
        return ending;
      });
    },
  },
];

async function manyBodies(port: number, headers: string, n: number): Promise<readonly Ending[]> {
  const from = newAddress();
  const chunk = `10000\r\n${"a".repeat(0x10000)}\r\n`;
  return many(n, async () => {
    const one = await stranger(port, from);
    await one.send(
      `POST /api/pages/${CHANNEL}/posts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n` +
        `${headers}Transfer-Encoding: chunked\r\n\r\n`,
    );
    const until = Date.now() + FLOOD_MS;
    for (let sent = 0; sent < 2 ** 30 && !one.isGone && Date.now() < until; sent += 0x10000) {
      await Promise.race([one.send(chunk), wait(1_000)]);
    }
    const ending = await one.ending(0);
    one.socket.destroy();
    if (one.socket.readyState !== "closed") await once(one.socket, "close");
    return ending;
  });
}

async function manyBombs(port: number, n: number, offer?: string): Promise<readonly Ending[]> {
  const from = newAddress();
  const bomb = frame({ opcode: 1, rsv1: true, payload: deflateRawSync(Buffer.alloc(2_000_000)) });
  return many(n, async () => {
    const one = await wsStranger(port, from, CHANNEL, offer);
    await one.send(bomb);
    return one.ending(SOON_MS);
  });
}
