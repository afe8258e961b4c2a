import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { type ClientOptions, WebSocket } from "ws";
import type { Hub, HubOptions } from "../hub/hub.ts";
import type { Frame } from "../protocol.ts";
import { CLOSE, handshake, kindsOfFrames, MASKED_CLOSE } from "./by-hand.ts";
import { eventually } from "./runner.ts";
import {
  type Door,
  doorTests,
  post,
  type RunnerThatSkips,
  type Site,
  type Started,
  siteTests,
} from "./site.ts";

export interface AdapterSuiteOptions {
  /**
   * Starts a server that serves the hub through the adapter at `/ws/channel/<id>/`, on loopback.
   * `url` is `ws://host:port`; `close` ends the server and what is still connected.
   */
  readonly start: (hub: Hub) => Promise<Started>;
  /** Tests that this runtime or library cannot pass, by name, each with its reason, which is shown with the name. */
  readonly skip?: Readonly<Record<string, string>>;
}

/**
 * What an adapter for WebSockets must do to be one: real sockets against a real server.
 *
 * @example
 * adapterSuite({ describe, it }, { start: async (hub) => startMyServer(hub) });
 */
export function adapterSuite(runner: RunnerThatSkips, { start, skip }: AdapterSuiteOptions): void {
  const { test: testOn, end } = siteTests(runner, start, skip);
  const test = (name: string, body: (site: SocketSite) => Promise<void>, options?: Partial<HubOptions>) =>
    testOn(name, (site) => body({ ...site, read: readerOf(site) }), options);

  runner.describe("adapter", () => {
    doorTests(testOn, door);

    test("a reader without a cursor gets what is published from then on", async ({ publisher, read }) => {
      await publisher.publish("finals", { 1: post("before") });
      const reader = await read("/ws/channel/finals/");
      const { cursor } = await publisher.publish("finals", { 2: post("after") }, ["1"]);
      assert.deepEqual(await reader.next(), {
        renders: { 2: { show: true, content: "after", at: 2 } },
        removals: ["1"],
        cursor,
      });
    });

    test("a reader with a cursor gets all it missed as one update, then goes on live", async (site) => {
      const { publisher, read } = site;
      const { cursor: start } = await publisher.publish("finals", { 1: post("one") });
      for (let n = 2; n <= 50; n++) await publisher.publish("finals", { [n % 7]: post(`version ${n}`) });
      const reader = await read(`/ws/channel/finals/?cursor=${start}`);
      const missed = await reader.next();
      assert.equal(Object.keys(missed.renders).length, 7);
      const { cursor } = await publisher.publish("finals", { live: post("live") });
      assert.equal((await reader.next()).cursor, cursor);
      assert.equal(reader.frames.length, 2);
    });

    test("nothing is missed or doubled while readers join", async ({ publisher, read }) => {
      const { cursor: start } = await publisher.publish("finals", { 0: post("0") });
      let last = start;
      const publishing = (async () => {
        for (let n = 1; n <= 200; n++) {
          last = (await publisher.publish("finals", { [n]: post(String(n)) })).cursor;
          if (n % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const readers = await Promise.all(
        Array.from({ length: 20 }, () => read(`/ws/channel/finals/?cursor=${start}`)),
      );
      await publishing;
      for (const reader of readers) {
        await eventually(() => assert.equal(reader.frames.at(-1)?.cursor, last));
        const ids = reader.frames.flatMap(({ renders }) => Object.keys(renders).map(Number));
        assert.deepEqual(
          ids,
          Array.from({ length: 200 }, (_, n) => n + 1),
        );
      }
    });

    test("a cursor that does not hold is reset, and the reader goes on live", async ({ publisher, read }) => {
      const { cursor: head } = await publisher.publish("finals", { 1: post("one") });
      for (const cursor of ["unknown.7", "nonsense", `${head}9`]) {
        const reader = await read(`/ws/channel/finals/?cursor=${encodeURIComponent(cursor)}`);
        assert.deepEqual(await reader.next(), { renders: {}, removals: [], cursor: head, reset: true });
      }
    });

    test("takes frames of 1 MB, in order", async ({ publisher, read }) => {
      const reader = await read("/ws/channel/finals/");
      const texts = Array.from({ length: 5 }, (_, n) => String(n).repeat(1_000_000));
      for (const [n, text] of texts.entries()) await publisher.publish("finals", { [n]: post(text) });
      const contents = () => reader.frames.flatMap(({ renders }) => Object.values(renders));
      await eventually(() => assert.equal(contents().length, texts.length));
      assert.deepEqual(
        contents().map(({ content }) => content),
        texts,
      );
    });

    test("a reader that stops reading costs no memory, and gets one compacted update when it goes on", async (site) => {
      const { publisher, read, hub, log } = site;
      const reader = await read("/ws/channel/finals/");
      await eventually(() => assert.equal(hub.stats().readers, 1));
      reader.socket.pause();
      const versions = 100;
      const before = process.memoryUsage().arrayBuffers;
      for (let n = 1; n <= versions; n++) {
        await publisher.publish("finals", { same: post(`${n} `.repeat(100_000)) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(hub.stats().lagging, 1);
      const grown = process.memoryUsage().arrayBuffers - before;
      assert.ok(grown < 20_000_000, `grew by ${grown} bytes; ${versions} updates are 30 MB and more`);
      reader.socket.resume();
      const [head] = await log.heads(["finals"]);
      await eventually(() => assert.equal(reader.frames.at(-1)?.cursor, head));
      assert.ok(reader.frames.length < versions / 2, `${reader.frames.length} frames`);
      assert.equal(reader.frames.at(-1)?.renders.same?.content, `${versions} `.repeat(100_000));
      await eventually(() => assert.equal(hub.stats().lagging, 0));
    });

    test(
      "limits connections per address, and gives places back",
      async ({ url, read, hub }) => {
        const first = await read("/ws/channel/finals/");
        await read("/ws/channel/finals/");
        assert.equal(await refusedWith(`${url}/ws/channel/finals/`), 429);
        first.socket.close();
        await eventually(() => assert.equal(hub.stats().readers, 1));
        await read("/ws/channel/finals/");
      },
      { maxConnectionsPerAddress: 2 },
    );

    test("lets in who asks for a subprotocol, and answers none", async (site) => {
      const answer = await answerTo(
        `${site.url}/ws/channel/finals/`,
        "Sec-WebSocket-Protocol: chat, superchat",
      );
      assert.match(answer, /^HTTP\/1\.1 101 /);
      assert.doesNotMatch(answer, /sec-websocket-protocol/i);
      await eventually(() => assert.equal(site.hub.stats().readers, 0));
    });

    test("a reader's messages are ignored; large or many ones close with their code", async (site) => {
      const quiet = await site.read("/ws/channel/finals/");
      quiet.socket.send("hello");
      quiet.socket.send(Buffer.alloc(4096));
      await site.publisher.publish("finals", { 1: post("still there") });
      await quiet.next();

      const large = await site.read("/ws/channel/finals/");
      large.socket.send("x".repeat(4097));
      assert.equal(await large.closed, 1009);

      const many = await site.read("/ws/channel/finals/");
      for (let n = 0; n < 61; n++) many.socket.send("hello");
      assert.equal(await many.closed, 1008);
      await eventually(() => assert.equal(site.hub.stats().readers, 1));
    });

    test("pings, and pongs that nobody asked for, count as messages do", async (site) => {
      const beating = await site.read("/ws/channel/finals/");
      for (let n = 0; n < 30; n++) beating.socket.pong();
      for (let n = 0; n < 10; n++) await pinged(beating);
      await site.publisher.publish("finals", { 1: post("still there") });
      await beating.next();

      const ponging = await site.read("/ws/channel/finals/");
      for (let n = 0; n < 10_000; n++) ponging.socket.pong();
      assert.equal(await ponging.closed, 1008);

      const pinging = await site.read("/ws/channel/finals/");
      for (let n = 0; n < 61; n++) await pinged(pinging);
      assert.equal(await pinging.closed, 1008);
      await eventually(() => assert.equal(site.hub.stats().readers, 1));
    });

    test("who goes on sending after its code, and answers no close, is cut off", async (site) => {
      const { hostname, port, pathname, host } = new URL(`${site.url}/ws/channel/finals/`);
      for (const flood of [masked("hello"), masked("x".repeat(4097))]) {
        const socket = connectTcp({ port: Number(port), host: hostname, allowHalfOpen: true });
        site.defer(() => socket.destroy());
        let isCut = false;
        socket.on("error", () => {});
        socket.on("close", () => {
          isCut = true;
        });
        socket.resume().write(handshake(pathname, host));
        await eventually(() => assert.equal(site.hub.stats().readers, 1));
        const flooding = setInterval(() => socket.write(flood), 10);
        site.defer(() => clearInterval(flooding));
        await eventually(() => assert.ok(isCut, "it still floods"), CUT_OFF_MS);
        await eventually(() => assert.equal(site.hub.stats().readers, 0));
      }
    });

    test("malformed frames close with their code", async (site) => {
      for (const [bytes, code] of MALFORMED) {
        assert.equal(
          await closeCodeAfter(`${site.url}/ws/channel/finals/`, bytes),
          code,
          bytes.toString("hex"),
        );
      }
      await eventually(() => assert.equal(site.hub.stats().readers, 0));
    });

    test("nothing follows a close frame, whoever closes, and however much waits before it", async (site) => {
      let version = 0;
      for (const [bytes, isFull] of [
        [MASKED_CLOSE, false],
        [MASKED_CLOSE, true],
        [Buffer.concat(Array.from({ length: 61 }, () => masked("hello"))), false],
      ] as const) {
        const { hostname, port, pathname, host } = new URL(`${site.url}/ws/channel/finals/`);
        const socket = connectTcp(Number(port), hostname, () => socket.write(handshake(pathname, host)));
        site.defer(() => socket.destroy());
        const received: Buffer[] = [];
        let isClosed = false;
        socket.on("data", (data: Buffer) => received.push(data));
        socket.on("error", () => {});
        socket.on("close", () => {
          isClosed = true;
        });
        await eventually(() => assert.equal(site.hub.stats().readers, 1));
        const publish = async (times: number, length: number) => {
          for (let n = 0; n < times; n++) {
            await site.publisher.publish("finals", { [n % 7]: post(`${++version} ${"x".repeat(length)}`) });
            await new Promise((resolve) => setImmediate(resolve));
          }
        };
        const kinds = () => kindsOfFrames(Buffer.concat(received));
        await publish(5, 1_000);
        await eventually(() => assert.ok(kinds().length > 0));
        if (isFull) {
          socket.pause();
          await publish(20, 990_000);
          await eventually(() => assert.equal(site.hub.stats().lagging, 1));
        }
        socket.write(bytes);
        await publish(200, 1_000);
        socket.resume();
        await eventually(() => assert.ok(isClosed, "the connection stays open"), CUT_OFF_MS);
        assert.equal(kinds().indexOf(CLOSE), kinds().length - 1);
        await eventually(() => assert.equal(site.hub.stats().readers, 0));
      }
    });

    test("readers that leave, or vanish, are forgotten", async ({ read, hub }) => {
      const readers = await Promise.all(Array.from({ length: 50 }, () => read("/ws/channel/finals/")));
      await eventually(() => assert.equal(hub.stats().readers, 50));
      for (const [n, { socket }] of readers.entries()) n % 2 ? socket.close() : socket.terminate();
      await eventually(() => assert.equal(hub.stats().readers, 0));
    });

    test("a reader that leaves in the middle of the upgrade leaves nothing behind", async ({ url, hub }) => {
      const { hostname, port, host } = new URL(url);
      for (let n = 0; n < 20; n++) {
        const socket = connectTcp(Number(port), hostname, () => {
          socket.write(handshake("/ws/channel/finals/", host));
          socket.destroy();
        });
        socket.on("error", () => {});
      }
      const malformed = connectTcp(Number(port), hostname, () => {
        malformed.write(handshake("/ws/channel/finals/", host).replace("Version: 13", "Version: 1"));
      });
      await new Promise((resolve) => malformed.on("close", resolve).resume());
      await eventually(() => assert.deepEqual([hub.stats().readers, hub.stats().lagging], [0, 0]));
    });

    test("hub.close() tells readers when to come back, closes with 1012, refuses newcomers", async (site) => {
      const reader = await site.read("/ws/channel/finals/");
      await eventually(() => assert.equal(site.hub.stats().readers, 1));
      const closing = site.hub.close({ retry: [100, 900] });
      assert.deepEqual(await reader.next(), { renders: {}, removals: [], retry: [100, 900] });
      assert.equal(await reader.closed, 1012);
      await closing;
      assert.equal(await refusedWith(`${site.url}/ws/channel/finals/`), 503);
    });

    test("reaches a thousand readers", async ({ publisher, read, hub }) => {
      const readers = [];
      for (let n = 0; n < 20; n++) {
        readers.push(...(await Promise.all(Array.from({ length: 50 }, () => read("/ws/channel/finals/")))));
      }
      await eventually(() => assert.equal(hub.stats().readers, 1000));
      for (let n = 0; n < 10; n++) await publisher.publish("finals", { [n]: post(String(n)) });
      const all = Array.from({ length: 10 }, (_, n) => String(n));
      for (const { frames } of readers) {
        await eventually(() =>
          assert.deepEqual(
            frames.flatMap(({ renders }) => Object.keys(renders)),
            all,
          ),
        );
      }
    });

    end();
  });
}

// --- words of the tests ----------------------------------------------------------------------------------

interface SocketSite extends Site {
  read(path: string, options?: ClientOptions): Promise<ReaderSocket>;
}

const readerOf =
  ({ url, defer }: Site): SocketSite["read"] =>
  async (path, options) => {
    const reader = await openReader(url + path, options);
    defer(() => reader.socket.terminate());
    return reader;
  };

const door: Door = {
  path: "ws",
  async knock({ url, defer }, path, headers = {}) {
    const socket = new WebSocket(url + path, { headers });
    defer(() => socket.terminate());
    const status = await new Promise<number>((resolve, reject) => {
      socket.on("open", () => resolve(101));
      socket.on("unexpected-response", (request, response) => {
        resolve(response.statusCode!);
        request.destroy();
      });
      socket.on("error", reject);
    });
    return { status, leave: () => socket.terminate() };
  },
  async told(site, path, publish) {
    const reader = await readerOf(site)(path);
    await publish();
    return (await reader.next()).renders["1"]?.content;
  },
};

/** Long for a second, on a machine that has other things to do, and short for the half minute that libraries wait. */
const CUT_OFF_MS = 15_000;

/** A text message of up to 64 kB as a browser sends it, with a mask of zeros. */
function masked(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = Buffer.from(length < 126 ? [0x81, 0x80 | length] : [0x81, 0xfe, length >> 8, length & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), Buffer.from(text)]);
}

interface ReaderSocket {
  readonly socket: WebSocket;
  /** All frames so far. */
  readonly frames: Frame[];
  /** The next frame that this was not asked for yet. */
  next(): Promise<Frame>;
  /** The close code. */
  readonly closed: Promise<number>;
}

/** Frames no browser sends, and how the connection ends. */
const MALFORMED: readonly (readonly [Buffer, number])[] = [
  [Buffer.from([0x81, 0x01, 0x61]), 1002], // not masked
  [Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), 1002], // reserved bits
  [Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 1002], // unknown opcode
  [Buffer.from([0x80, 0x80, 0, 0, 0, 0]), 1002], // continues nothing
  [Buffer.from([0x09, 0x80, 0, 0, 0, 0]), 1002], // a ping in fragments
  [Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]), 1007], // not UTF-8
  [Buffer.from([0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 1009], // says it is 4 GiB
];

async function openReader(url: string, options: ClientOptions = {}): Promise<ReaderSocket> {
  const socket = new WebSocket(url, { perMessageDeflate: false, ...options });
  const frames: Frame[] = [];
  const waiting: (() => void)[] = [];
  let taken = 0;
  socket.on("message", (data) => {
    frames.push(JSON.parse(String(data)) as Frame);
    for (const wake of waiting.splice(0)) wake();
  });
  const closed = new Promise<number>((resolve) => {
    socket.on("close", resolve);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => {});
  return {
    socket,
    frames,
    closed,
    async next() {
      const ended = closed.then((code) => Promise.reject(new Error(`closed with ${code}, no frame`)));
      ended.catch(() => {});
      while (frames.length <= taken) {
        await Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), ended]);
      }
      return frames[taken++]!;
    },
  };
}

/** One at a time, for who does not wait for the pongs may be cut off sooner. */
async function pinged({ socket, closed }: ReaderSocket): Promise<void> {
  const answered = new Promise<void>((resolve) => socket.once("pong", () => resolve()));
  socket.ping();
  await Promise.race([answered, closed]);
}

/** The status of a handshake that is not to succeed. */
function refusedWith(url: string, options: ClientOptions = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, options);
    socket.on("unexpected-response", (request, response) => {
      resolve(response.statusCode);
      request.destroy();
    });
    socket.on("open", () => {
      socket.terminate();
      reject(new Error(`${url} let the reader in`));
    });
    socket.on("error", reject);
  });
}

/** The head of the answer to a handshake that has one more header. */
function answerTo(url: string, header: string): Promise<string> {
  const { hostname, port, pathname, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connectTcp(Number(port), hostname, () => {
      socket.write(handshake(pathname, host).replace(/(?=\r\n$)/, `${header}\r\n`));
    });
    let received = "";
    socket.on("data", (data: Buffer) => {
      received += data;
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      resolve(received.slice(0, end));
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection ended without an answer")));
  });
}

/** Opens a socket by hand, sends `bytes` after the handshake, and reads the close code that comes back. */
function closeCodeAfter(url: string, bytes: Buffer): Promise<number> {
  const { hostname, port, pathname, host } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connectTcp(Number(port), hostname, () => {
      socket.write(handshake(pathname, host));
    });
    let received = Buffer.alloc(0);
    let sent = false;
    socket.on("data", (data: Buffer) => {
      received = Buffer.concat([received, data]);
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!sent) {
        sent = true;
        socket.write(bytes);
      }
      const frame = received.subarray(end + 4);
      if (frame.length < 4) return;
      if (frame[0] === 0x88) resolve(frame.readUInt16BE(2));
      else reject(new Error(`a frame that is no close: ${frame.toString("hex")}`));
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection ended without a close frame")));
  });
}
