import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../src/testing/runner.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

async function open(): Promise<{ socket: Socket; received(): string; statuses(): string[] }> {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    received += chunk;
  });
  socket.on("error", () => {});
  await once(socket, "connect");
  return {
    socket,
    received: () => received,
    statuses: () => [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!),
  };
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

describe("a connection that does not wait for its answers", () => {
  it("gets up to 16, in their order", async () => {
    const { socket, statuses } = await open();
    const paths = Array.from({ length: 16 }, (_, n) => ["/live/welcome/", "/nothing", "/metrics"][n % 3]!);
    socket.write(paths.map(get).join(""));
    const due = paths.map((_, n) => ["200", "404", "401"][n % 3]);
    await eventually(() => expect(statuses()).toEqual(due));
    // Those it has taken count no more.
    socket.write(paths.map(get).join(""));
    await eventually(() => expect(statuses()).toEqual([...due, ...due]));
    socket.destroy();
  });

  it.each([
    "/live/welcome/",
    "/nothing",
    "/api/pages",
    "/assets/reader.js",
    "/updates/channel/welcome/",
    "/%zz",
    "/ HTTP/1.1\r\nExpect: nothing\r\nX:",
  ])("is cut off when it asks for more: %s", async (path) => {
    const { socket, statuses } = await open();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(get(path).repeat(1_000));
    await closed;
    expect(statuses().length).toBeLessThanOrEqual(16);
  });

  it("has one answer made at a time", async () => {
    const { json } = await server.api("GET", "/api/channels/welcome");
    const { socket, statuses, received } = await open();
    socket.write(get(`/updates/channel/welcome/?cursor=${json.cursor}&wait=30`));
    await eventually(() => expect(server.hub.stats().readers).toBe(1));
    socket.write(get(`/updates/channel/welcome/?cursor=${json.cursor}&wait=30`).repeat(2));
    const other = await open();
    other.socket.write(get("/healthz"));
    await eventually(() => expect(other.statuses()).toEqual(["200"]));
    expect(server.hub.stats().readers).toBe(1);
    await server.api("POST", "/api/pages/welcome/posts", text("Goal!"));
    await eventually(() => expect(statuses()).toEqual(["200", "200", "200"]));
    expect(received().split("Goal!").length - 1).toBe(3);
    for (const one of [socket, other.socket]) one.destroy();
  });
});
