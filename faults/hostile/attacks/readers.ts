/** Strangers who are readers, as it seems. */
import { setTimeout as wait } from "node:timers/promises";
import type { OneServer } from "../../one-server.ts";
import {
  type Attack,
  CHANNEL,
  inTurn,
  leave,
  many,
  newAddress,
  SOON_MS,
  saying,
  writeBig,
} from "../attack.ts";
import { GOOD_READERS } from "../good-readers.ts";
import { type Ending, type Stranger, stranger, wsHandshake, wsStranger } from "../stranger.ts";

/** Of posts of almost a megabyte, more than two sockets hold between them. */
const MOST = 30;
/** Of those, when the sockets are full. */
const MORE = 5;

/** Writes until these readers' sockets are full, then more; says whether all are there at the end. */
async function fill(server: OneServer, all: readonly Stranger[]): Promise<readonly Ending[]> {
  const areFull = async () => (await server.metric("tidings_readers_lagging")) >= all.length;
  const takeAway: (() => Promise<void>)[] = [];
  for (let n = 0; n < MOST && !(await areFull()); n++) takeAway.push(await writeBig(server, 1));
  if (!(await areFull()))
    throw new Error(
      `only ${await server.metric("tidings_readers_lagging")} of ${all.length} readers, of ${await server.metric("tidings_readers")}, had full sockets`,
    );
  takeAway.push(await writeBig(server, MORE));
  const kept = (await server.metric("tidings_readers")) - GOOD_READERS >= all.length;
  leave(all);
  for (const each of takeAway) await each();
  return all.map(() => (kept ? "kept" : "cut off"));
}

async function sseStranger(port: number, from: string, headers = "", query = ""): Promise<Stranger> {
  const one = await stranger(port, from);
  await one.send(`GET /sse/channel/${CHANNEL}/${query} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
  while (!one.isGone && one.answers() === 0) await wait(10);
  return one;
}

/** Readers whose sockets fill. */
function notTaking(
  name: string,
  most: number,
  open: (port: number, from: string) => Promise<Stranger>,
): Attack {
  return {
    name,
    isBig: true,
    ends: ["kept"],
    memoryKb: 60,
    async run(server, scale) {
      const from = newAddress();
      return fill(server, await inTurn(most * scale, 100, () => open(server.port, from)));
    },
  };
}

function paused(one: Stranger): Stranger {
  one.socket.pause();
  return one;
}

const poll = (port: number, from: string, channel: string, query: string): Promise<Stranger> =>
  stranger(port, from).then(async (one) => {
    await one.send(
      `GET /updates/channel/${channel}/?${query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    return one;
  });

async function cursorOf({ api }: OneServer, channel: string): Promise<string> {
  return ((await (await api("GET", `/api/channels/${channel}`)).json()) as { cursor: string }).cursor;
}

export const READERS: readonly Attack[] = [
  notTaking("readers that stop reading", 1_000, async (port, from) =>
    paused(await wsStranger(port, from, CHANNEL)),
  ),
  notTaking("readers of streams that stop reading", 1_000, async (port, from) =>
    paused(await sseStranger(port, from)),
  ),
  notTaking("readers that read a byte a second", 500, (port, from) =>
    wsStranger(port, from, CHANNEL, { isSlow: true }),
  ),
  {
    name: "readers that come and leave at once",
    ends: ["cut off"],
    async run({ port, metric }, scale) {
      const from = newAddress();
      const others = await metric("tidings_readers");
      const endings = await inTurn(5_000 * scale, 100, async (n): Promise<Ending> => {
        const one = await stranger(port, from);
        await one.send(wsHandshake(CHANNEL));
        if (n % 2) one.socket.resetAndDestroy();
        else one.socket.destroy();
        return "cut off";
      });
      // Some are let in only now.
      await wait(1_000);
      const until = Date.now() + SOON_MS;
      while ((await metric("tidings_readers")) > others && Date.now() < until) await wait(100);
      return (await metric("tidings_readers")) > others ? ["kept"] : endings;
    },
  },
  {
    name: "10,000 connections from one address",
    ends: [101, 429],
    memoryKb: 30,
    async run({ port }, scale, limit) {
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
      leave(held);
      const letIn = endings.filter((ending) => ending === 101).length;
      if (letIn !== Math.min(limit, endings.length))
        throw new Error(`${letIn} connections were let in, for ${limit}`);
      return endings;
    },
  },
  {
    name: "polls that wait, thousands at once",
    ends: [200, 429],
    memoryKb: 40,
    async run(server, scale) {
      // Not the one that is written to: there nobody waits.
      await server.api("POST", "/api/pages", { channelId: "quiet", title: "Quiet" });
      const cursor = await cursorOf(server, "quiet");
      const from = [newAddress(), newAddress(), newAddress()];
      const all = await inTurn(6_000 * scale, 100, (n) =>
        poll(server.port, from[n % from.length]!, "quiet", `cursor=${cursor}&wait=${Math.ceil(10 * scale)}`),
      );
      const endings = await Promise.all(all.map((one) => one.ending(SOON_MS + 10_000)));
      leave(all);
      return endings;
    },
  },
  {
    name: "polls of invented pages",
    ends: [200],
    run: ({ port }, scale) => {
      const from = newAddress();
      return inTurn(10_000 * scale, 50, async () =>
        (await poll(port, from, `invented-${Math.random()}`, "cursor=")).ending(SOON_MS),
      );
    },
  },
  {
    name: "polls with cursors invented, each another",
    isBig: true,
    ends: [200],
    memoryMb: 450,
    async run(server, scale) {
      const from = newAddress();
      const takeAway = await writeBig(server, 5);
      const [epoch, seq] = (await cursorOf(server, CHANNEL)).split(".");
      const endings = await inTurn(5_000 * scale, 500, async (n) => {
        const cursor = n % 2 ? `invented-${n}.${n}` : `${epoch}.${n % Number(seq)}`;
        return (await poll(server.port, from, CHANNEL, `cursor=${cursor}`)).ending(2 * SOON_MS);
      });
      await takeAway();
      return endings;
    },
  },
  {
    name: "readers with cursors invented, each another",
    isBig: true,
    ends: ["kept"],
    memoryKb: 60,
    async run(server, scale) {
      const from = newAddress();
      const [epoch, seq] = (await cursorOf(server, CHANNEL)).split(".");
      const all = await inTurn(1_000 * scale, 100, (n) => {
        const cursor = n % 2 ? `invented-${n}.${n}` : `${epoch}.${n % Number(seq)}`;
        return wsStranger(server.port, from, CHANNEL, { cursor });
      });
      for (const { socket } of all) socket.pause();
      return fill(server, all);
    },
  },
  {
    name: "a Last-Event-ID of 10 kB",
    ends: [400],
    run: ({ port }, scale) =>
      saying(
        port,
        500 * scale,
        `GET /sse/channel/${CHANNEL}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nLast-Event-ID: ${"a".repeat(10_000)}\r\n\r\n`,
      ),
  },
  {
    name: "a Last-Event-ID that is no cursor",
    ends: [200],
    memoryKb: 60,
    async run({ port }, scale) {
      const from = newAddress();
      const all = await inTurn(500 * scale, 100, (n) =>
        sseStranger(
          port,
          from,
          `Last-Event-ID: ${["-1", "\xff\xfe", "1.2.3", "e.99999999999999999999"][n % 4]}\r\n`,
        ),
      );
      const endings = await Promise.all(all.map((one) => one.ending(0)));
      leave(all);
      return endings;
    },
  },
];
