/** Strangers who take their time. */
import { setTimeout as wait } from "node:timers/promises";
import { link } from "../../processes/network.ts";
import { type Attack, CHANNEL, leave, many, newAddress } from "../attack.ts";
import { type Ending, stranger, wsStranger } from "../stranger.ts";

/** Sends the head at once, and then a byte a second. */
const dripping =
  (strangers: number, head: string, drip: string, patienceMs: number): Attack["run"] =>
  async ({ port, authorization }, scale) => {
    const from = newAddress();
    return many(strangers * scale, async () => {
      const one = await stranger(port, from);
      await one.send(head.replace("<token>", authorization));
      let sent = 0;
      const dripped = setInterval(() => void one.send(drip.charAt(sent++ % drip.length)), 1_000);
      const ending = await one.ending(patienceMs);
      clearInterval(dripped);
      one.socket.destroy();
      return ending;
    });
  };

const POST = `POST /api/pages/${CHANNEL}/posts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;
const LOGIN = "POST /api/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";

export const SLOW: readonly Attack[] = [
  {
    name: "one byte a second of a request",
    ends: [408],
    isLong: true,
    memoryKb: 30,
    run: dripping(500, "", `GET /live/${CHANNEL}/ HTTP/1.1\r\nHost: a\r\n`, 25_000),
  },
  {
    name: "one byte a second of a WebSocket's handshake",
    ends: [408],
    isLong: true,
    memoryKb: 30,
    run: dripping(
      500,
      `GET /ws/channel/${CHANNEL}/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nX-Slow: `,
      "a",
      25_000,
    ),
  },
  {
    name: "connections that say nothing",
    ends: [408, "cut off"],
    isLong: true,
    memoryKb: 30,
    run: dripping(500, "", "", 25_000),
  },
  {
    name: "one byte a second of a body, without the token",
    ends: [401],
    run: dripping(500, `${POST}Content-Length: 1000\r\n\r\n`, "a", 10_000),
  },
  {
    name: "one byte a second of a login",
    ends: [408],
    memoryKb: 30,
    // Ten seconds, and no more than it takes to answer them all.
    run: dripping(500, `${LOGIN}Content-Length: 1000\r\n\r\n`, "a", 15_000),
  },
  {
    name: "one byte a second of a body, with the token",
    ends: [408],
    isLong: true,
    memoryKb: 30,
    run: dripping(500, `${POST}Authorization: <token>\r\nContent-Length: 1000\r\n\r\n`, "a", 130_000),
  },
  {
    name: "readers whose network forgot them (half open)",
    ends: ["cut off"],
    isLong: true,
    memoryKb: 50,
    async run({ port, metric }, scale) {
      const way = await link(port);
      const others = await metric("tidings_readers");
      const all = await many(200 * scale, () => wsStranger(way.port, newAddress(), CHANNEL));
      way.forget();
      // A minute, the time for what is on the way, and a look more.
      const until = Date.now() + 150_000;
      let left = all.length;
      while (left > 0 && Date.now() < until) {
        await wait(1_000);
        left = Math.max(0, (await metric("tidings_readers")) - others);
      }
      leave(all);
      await way.close();
      return all.map((_, n): Ending => (n < left ? "kept" : "cut off"));
    },
  },
];
