import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { Frame } from "../../../faults/frame.ts";
import type { Sighting } from "../../../faults/processes/judge.ts";
import { startReader } from "../../../faults/processes/reader.ts";
import { eventually } from "../../../src/testing/runner.ts";

// What the reader of `npm run faults` must not believe (PROTOCOL.md, rule 2): it would show what it should have judged.

const frame = (cursor: string, more: Partial<Frame> = {}): Frame => ({
  renders: {},
  removals: [],
  cursor,
  ...more,
});

/** A server of one page, that sends what it is told to. */
async function serve() {
  const joined: { readonly cursor: string | null; readonly socket: WebSocket }[] = [];
  const page = { cursor: "e.5", posts: "" };
  const server = createServer((_, response) => {
    response.end(
      `<div id="live-posts" data-channel-id="news" data-cursor="${page.cursor}">${page.posts}</div>`,
    );
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, { url }) => {
    joined.push({ cursor: new URL(url!, "http://host").searchParams.get("cursor"), socket });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return {
    joined,
    page,
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    send: (told: Frame) => joined.at(-1)!.socket.send(JSON.stringify(told)),
  };
}

const post = { show: true, content: "<p>⟦1⟧</p>", at: 1 };
const DOUBTED: readonly [what: string, told: Frame, when: "after" | "meanwhile"][] = [
  ["a reset", frame("g.2", { reset: true }), "after"],
  ["a heartbeat before its own cursor", frame("f.4"), "after"],
  ["an update of another epoch", frame("g.5", { renders: { a: post } }), "after"],
  [
    "an update of another epoch that came while it fetched",
    frame("g.5", { renders: { a: post } }),
    "meanwhile",
  ],
];

for (const [what, told, when] of DOUBTED) {
  it(`a reader whose page is newer than its connection asks with its own cursor at ${what}`, async () => {
    const { joined, page, host, send } = await serve();
    const reader = await startReader({ name: "r", channel: "news", transport: "websocket", hosts: [host] });
    onTestFinished(() => reader.end());
    await eventually(() => expect(joined).toHaveLength(1));
    page.cursor = "f.7";
    send(frame("f.3", { reset: true }));
    if (when === "after") await eventually(() => expect(reader.trace().steps.at(-1)?.seq).toBe(7));
    send(told);
    await eventually(() => expect(joined.map(({ cursor }) => cursor)).toEqual(["e.5", "f.7"]));
    expect(reader.resets).toBe(1);
    // Of its own cursor it is told now, and believes it.
    send(frame("g.9", { renders: { a: post } }));
    await eventually(() => expect(reader.trace().final).toEqual([["a", 1]]));
    expect(joined).toHaveLength(2);
  });
}

it("a reader that polls goes on polling while it fetches the page: an epoch may begin meanwhile", async () => {
  const polls: string[] = [];
  let page = "e.5";
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, "http://host");
    if (!pathname.startsWith("/updates/"))
      return void response.end(`<div id="live-posts" data-channel-id="news" data-cursor="${page}"></div>`);
    const cursor = searchParams.get("cursor")!;
    polls.push(cursor);
    page = "f.8";
    // The store was killed after it had told of the reset.
    if (cursor === "e.5") response.end(JSON.stringify(frame("e.7", { reset: true })));
    else if (cursor === "e.7") response.end(JSON.stringify(frame("f.8", { renders: { a: post } })));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const reader = await startReader({ name: "r", channel: "news", transport: "polling", hosts: [host] });
  onTestFinished(() => reader.end());
  await eventually(() => expect(reader.trace().steps.at(-1)?.seq).toBe(8));
  expect(polls.slice(0, 2)).toEqual(["e.5", "e.7"]);
  expect(reader.resets).toBe(1);
});

const LOOKS: readonly [what: string, show: boolean, content: string, seen: Sighting["seen"]][] = [
  ["a post shown without its text", true, "<p></p>", "blank"],
  ["a hidden post with its text", false, "<p>⟦1⟧</p>", 1],
  ["a hidden post", false, "<p></p>", "hidden"],
];

for (const [what, show, content, seen] of LOOKS) {
  it(`a reader tells the judge of ${what}, in an update and on the page`, async () => {
    const { joined, page, host, send } = await serve();
    const start = () => startReader({ name: "r", channel: "news", transport: "websocket", hosts: [host] });
    const told = await start();
    onTestFinished(() => told.end());
    await eventually(() => expect(joined).toHaveLength(1));
    send(frame("e.6", { renders: { a: { show, content, at: 1 } } }));
    await eventually(() => expect(told.trace().steps.at(-1)?.sightings).toEqual([{ id: "a", seen, at: 1 }]));
    page.posts = `<div class="live-post-wrapper" data-at="1"${show ? "" : " hidden"}><div class="live-post" data-post-id="a">${content}</div></div>`;
    const loaded = await start();
    onTestFinished(() => loaded.end());
    expect(loaded.trace().steps[0]?.sightings).toEqual([{ id: "a", seen, at: 1 }]);
  });
}
