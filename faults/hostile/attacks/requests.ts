/** Strangers who send requests that nobody means. */
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { OneServer } from "../../one-server.ts";
import {
  type Attack,
  CHANNEL,
  FLOOD_MS,
  flood,
  inTurn,
  leave,
  many,
  newAddress,
  SOON_MS,
  saying,
  writeBig,
} from "../attack.ts";
import { type Ending, type Stranger, stranger } from "../stranger.ts";

/** Asks for the same without end, and reads nothing. */
const asking =
  (path: string, headers = ""): Attack["run"] =>
  async ({ port }, scale) => {
    const from = newAddress();
    const bulk = `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`.repeat(100);
    return many(10 * scale, async () => {
      const one = await stranger(port, from);
      // What it was answered before it was cut off does not count.
      return (await flood(one, bulk, { patienceMs: 1_000 })) === "kept" ? "kept" : "cut off";
    });
  };

const bodies =
  (head: string): Attack["run"] =>
  async ({ port, authorization }, scale) => {
    const from = newAddress();
    const chunk = `10000\r\n${"a".repeat(0x10000)}\r\n`;
    return many(20 * scale, async () => {
      const one = await stranger(port, from, { isStubborn: true });
      await one.send(`${head.replace("<token>", authorization)}Transfer-Encoding: chunked\r\n\r\n`);
      const until = Date.now() + FLOOD_MS;
      for (let sent = 0; sent < 2 ** 30 && !one.isGone && Date.now() < until; sent += 0x10000) {
        await Promise.race([one.send(chunk), wait(1_000)]);
      }
      const ending = await one.ending(SOON_MS);
      one.socket.destroy();
      return one.isGone ? ending : "kept";
    });
  };

const POST = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;
const POSTS = `/api/pages/${CHANNEL}/posts`;

/** Two requests in one, where a proxy in front may see another one than the server does (RFC 9112, 11.2). */
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const SMUGGLING: readonly string[] = [
  `Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  `Content-Length: 0, ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  `Content-Length: +${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding: xchunked\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${SMUGGLED}`,
  `Transfer-Encoding: chunked\r\n\r\n1;${"a".repeat(20_000)}\r\n`,
  `X: a\nContent-Length: 0\n\n${SMUGGLED}`,
];

async function smuggle({ port }: OneServer, scale: number): Promise<readonly Ending[]> {
  const from = newAddress();
  const all = await inTurn(Math.max(SMUGGLING.length, 120 * scale), SMUGGLING.length, async (n) => {
    const one = await stranger(port, from);
    await one.send(`POST /nothing HTTP/1.1\r\nHost: a\r\n${SMUGGLING[n % SMUGGLING.length]}`);
    const ending = await one.ending(SOON_MS);
    // The second must not have been answered as well.
    return one.answers() === 1 ? ending : "kept";
  });
  return all;
}

/** After a while in which they read nothing, they do, and see whether they were cut off. */
async function held(all: readonly Stranger[], scale: number): Promise<readonly Ending[]> {
  await wait(500 + 5_000 * scale);
  const closed = all.map(
    ({ socket }) => new Promise((resolve) => (socket.closed ? resolve(true) : socket.once("close", resolve))),
  );
  for (const { socket } of all) socket.resume();
  await Promise.race([Promise.all(closed), wait(2_000)]);
  const endings = all.map(({ isGone }): Ending => (isGone ? "cut off" : "kept"));
  leave(all);
  return endings;
}

export const REQUESTS: readonly Attack[] = [
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
    name: "headers as long as they may be: a cookie of 15 kB, 900 names",
    ends: [200],
    async run({ port }, scale) {
      const cookie = `Cookie: ${"a=b; ".repeat(3_000)}\r\n`;
      const names = Array.from({ length: 900 }, (_, n) => `X${n}: ${n}\r\n`).join("");
      const request = (headers: string) =>
        `GET /live/${CHANNEL}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers}\r\n`;
      return [
        ...(await saying(port, 500 * scale, request(cookie))),
        ...(await saying(port, 500 * scale, request(names))),
      ];
    },
  },
  { name: "two requests in one (smuggling)", ends: [400, 413], run: smuggle },
  {
    name: "what is no HTTP/1.1: a TLS hello, HTTP/2, garbage",
    ends: [400, "cut off"],
    run: async ({ port }, scale) =>
      (
        await Promise.all(
          [
            Buffer.from("16030100a5010000a10303", "hex"),
            Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            Buffer.from([0, 1, 2, 3, 13, 10, 13, 10]),
          ].map((bytes) => saying(port, 30 * scale, bytes)),
        )
      ).flat(),
  },
  {
    name: "bodies of 1 GB without the token",
    ends: [401],
    run: bodies(POST(POSTS)),
  },
  {
    name: "bodies of 1 GB with it",
    ends: [413],
    // Up to 8 MB are a post, and taken in as they come.
    memoryKb: 16_000,
    run: bodies(`${POST(POSTS)}Authorization: <token>\r\n`),
  },
  {
    name: "bodies of 1 GB for what is not there",
    ends: [404],
    run: bodies(POST("/nothing")),
  },
  {
    name: "bodies of 1 GB for a stream and a login",
    ends: [405, 413],
    run: async (server, scale, limit) => [
      ...(await bodies(POST(`/sse/channel/${CHANNEL}/`))(server, scale / 2, limit)),
      ...(await bodies(POST("/api/session"))(server, scale / 2, limit)),
    ],
  },
  {
    name: "a body that would be 100 MB unpacked",
    ends: [413],
    memoryKb: 16_000,
    run({ port, authorization }, scale) {
      const bomb = gzipSync(Buffer.alloc(100_000_000));
      const head = `${POST(POSTS)}Authorization: ${authorization}\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`;
      return saying(port, 50 * scale, Buffer.concat([Buffer.from(head), bomb]));
    },
  },
  {
    name: "requests for the page without end, the answers not read",
    ends: ["cut off"],
    run: asking(`/live/${CHANNEL}/`),
  },
  {
    name: "requests for a script without end, the answers not read",
    ends: ["cut off"],
    run: asking("/assets/reader.js", "Accept-Encoding: br\r\n"),
  },
  {
    name: "requests for nothing without end, the answers not read",
    ends: ["cut off"],
    run: asking("/nothing"),
  },
  {
    name: "malformed requests without end, the answers not read",
    ends: ["cut off"],
    run: async (...given) => [
      ...(await asking("/%zz")(...given)),
      ...(await asking("/", "Expect: nothing\r\n")(...given)),
    ],
  },
  {
    name: "a script in a thousand ranges",
    ends: [200, 206, 416],
    run({ port }, scale) {
      const ranges = Array.from({ length: 1_000 }, (_, n) => `${n}-${n + 1}`).join(",");
      return saying(
        port,
        200 * scale,
        `GET /assets/reader.js HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=${ranges}\r\n\r\n`,
      );
    },
  },
  {
    name: "a picture of 9 MB, asked for and not read",
    // They share its bytes: nobody has to go.
    ends: ["kept"],
    async run({ host, port, authorization }, scale) {
      const picture = Buffer.alloc(9_000_000, "a");
      picture.write("GIF89a\x01\0\x01\0", 0, "latin1");
      picture.write(";", picture.length - 1);
      const answer = await fetch(`http://${host}/api/images`, {
        method: "POST",
        headers: { authorization, "content-type": "image/gif" },
        body: picture,
      });
      if (answer.status !== 201) throw new Error(`the picture was answered ${answer.status}`);
      const { id } = (await answer.json()) as { id: string };
      const from = newAddress();
      const all = await inTurn(500 * scale, 20, async () => {
        const one = await stranger(port, from);
        one.socket.pause();
        // The first may find room in the sockets between them.
        await one.send(`GET /images/${id} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(3));
        return one;
      });
      return held(all, scale);
    },
  },
  {
    name: "a page of 4 MB, asked for and not read",
    isBig: true,
    // Those who have taken nothing for longest.
    ends: ["cut off", "kept"],
    memoryMb: 350,
    async run(server, scale) {
      const { port } = server;
      const takeAway = await writeBig(server, 4);
      const from = newAddress();
      const all = await inTurn(500 * scale, 20, async () => {
        const one = await stranger(port, from);
        one.socket.pause();
        await one.send(`GET /live/${CHANNEL}/ HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(3));
        return one;
      });
      return held(all, scale).finally(takeAway);
    },
  },
];
