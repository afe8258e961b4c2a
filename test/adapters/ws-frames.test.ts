import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { deflated, textFrame, wsTransport } from "../../src/adapters/ws-frames.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { eventually } from "../../src/testing/runner.ts";

describe("compressed frames", () => {
  const long = textFrame("goal ".repeat(1_000));

  it("are made once for all readers, and smaller", () => {
    const made = deflated(long);
    expect(made.length).toBeLessThan(long.length / 10);
    deflated(textFrame("another ".repeat(100)));
    expect(deflated(long)).toBe(made);
  });

  it("of a short text is the frame as it is", () => {
    const short = textFrame("goal");
    expect(deflated(short)).toEqual(short);
  });

  it("of several are one after the other, each compressed where it pays", () => {
    const short = textFrame("goal");
    const made = deflated(wsTransport.join!([short, long, short]));
    expect(made).toEqual(Buffer.concat([short, deflated(long), short]));
  });

  it("of another transport stay what they are: binary, in parts, compressed by itself, a ping", () => {
    const withKind = (kind: number) => Buffer.concat([Buffer.of(kind), long.subarray(1)]);
    const [binary, part, last, compressed, ping] = [0x82, 0x01, 0x80, 0xc1, 0x89].map(withKind) as Buffer[];
    expect(deflated(binary!)[0]).toBe(0xc2);
    expect(deflated(binary!).subarray(1)).toEqual(deflated(long).subarray(1));
    for (const frame of [part!, last!, compressed!, ping!]) expect(deflated(frame)).toEqual(frame);
  });
});

describe("permessage-deflate", () => {
  let site: Awaited<ReturnType<typeof start>>;
  async function start() {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = createHub({ log, bus });
    const server = createServer();
    const detach = attachWebSocket(server, hub);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
      hub,
      publisher: createPublisher({ log, bus }),
      url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws/channel/finals/`,
      async close() {
        await hub.close({ drainMs: 0 });
        detach();
        server.close();
        server.closeAllConnections();
      },
    };
  }
  beforeEach(async () => {
    site = await start();
  });
  afterEach(() => site.close());

  async function read(options: ClientOptions) {
    const socket = new WebSocket(site.url, options);
    let own: Socket;
    socket.on("upgrade", (response) => {
      own = response.socket;
    });
    const texts: string[] = [];
    socket.on("message", (data) => texts.push(String(data)));
    await once(socket, "open");
    return { socket, texts, bytes: () => own.bytesRead };
  }

  it("is agreed to without context takeover: all readers get the same, those who asked in fewer bytes", async () => {
    const plain = await read({ perMessageDeflate: false });
    const asked = [await read({ perMessageDeflate: true }), await read({ perMessageDeflate: true })];
    // Its window may not be what the shared frames are made with.
    const bounded = await read({ perMessageDeflate: { serverMaxWindowBits: 9 } });
    const all = [plain, ...asked, bounded];
    expect(all.map(({ socket }) => socket.extensions)).toEqual([
      "",
      "permessage-deflate",
      "permessage-deflate",
      "",
    ]);
    const post = (content: string) => [{ id: `${content.length}`, show: true, content }];
    await site.publisher.publish("finals", post("short"));
    await eventually(() => expect(all.map(({ texts }) => texts.length)).toEqual([1, 1, 1, 1]));
    for (let n = 1; n <= 3; n++) void site.publisher.publish("finals", post("goal ".repeat(n * 200)));
    await site.publisher.publish("finals", post("goal ".repeat(200_000)));
    await eventually(() => expect(all.map(({ texts }) => texts.length)).toEqual([5, 5, 5, 5]));
    for (const { texts } of all) expect(texts).toEqual(plain.texts);
    const sent = plain.texts.join("").length;
    expect(plain.bytes()).toBeGreaterThan(sent);
    expect(bounded.bytes()).toBeGreaterThan(sent);
    for (const { bytes } of asked) expect(bytes()).toBeLessThan(sent / 20);
    for (const { socket } of all) socket.terminate();
  });

  it("what a reader compresses is read, and closed with 1009 where it grows too large", async () => {
    const { socket } = await read({ perMessageDeflate: { threshold: 0 } });
    socket.send("hello ".repeat(100));
    socket.send("hello again");
    await site.publisher.publish("finals", [{ id: "a", show: true, content: "still here" }]);
    await once(socket, "message");
    socket.send(Buffer.alloc(2_000_000));
    const [code] = await once(socket, "close");
    expect(code).toBe(1009);
  });

  it("an offer that nobody can read is declined", async () => {
    const socket = new WebSocket(site.url, {
      perMessageDeflate: false,
      headers: { "Sec-WebSocket-Extensions": "permessage-deflate; of=no_kind, x-other" },
    });
    await once(socket, "open");
    expect(socket.extensions).toBe("");
    socket.terminate();
  });
});
