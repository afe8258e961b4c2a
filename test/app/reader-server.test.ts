import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { request, startTestServer, type TestServer, text } from "../support/server.ts";
import { statusOf } from "../support/upgrade.ts";

it("keeps no listener for each connection that became a WebSocket", async () => {
  const server = await startTestServer();
  const sockets: Socket[] = [];
  const take = (message: unknown) => sockets.push((message as { socket: Socket }).socket);
  subscribe("net.server.socket", take);
  try {
    for (let reader = 0; reader < 2; reader++) {
      await once(new WebSocket(`${server.url.replace("http", "ws")}/ws/channel/welcome/`), "open");
    }
    const [some, others] = sockets.map((socket) =>
      socket.eventNames().map((event) => [event, ...socket.rawListeners(event)]),
    );
    expect(some).toContainEqual(["drain", expect.any(Function)]);
    expect(others).toEqual(some);
  } finally {
    unsubscribe("net.server.socket", take);
    await server.close();
  }
});

it("answers what offers another upgrade, as `curl --http2` and Java do, as if it did not", async () => {
  const server = await startTestServer();
  const { host, port } = new URL(server.url);
  const ask = async (method: string, path: string, rest: string) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade, HTTP2-Settings, close\r\n` +
        `Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n${rest}`,
    );
    return textOf(socket);
  };
  try {
    const body = JSON.stringify(text("From Java"));
    const posted = await ask(
      "POST",
      "/api/pages/welcome/posts",
      `Authorization: Bearer ${server.token}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(posted).toMatch(/^HTTP\/1\.1 201 /);
    const page = await ask("GET", "/live/welcome/", "\r\n");
    expect(page).toMatch(/^HTTP\/1\.1 200 /);
    expect(page).toContain("From Java");
    expect(await statusOf(`${server.url.replace("http", "ws")}/ws/channel/welcome/`)).toBe(101);
  } finally {
    await server.close();
  }
});

it.concurrent.each([
  ["a request", "GET /live/welcome/ HTTP/1.1\r\nHost: a\r\nX-Slow: "],
  [
    "a WebSocket's handshake",
    "GET /ws/channel/welcome/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nX-Slow: ",
  ],
])(
  "ends %s at a byte a second with 408, after 15 s and 5 s more at most",
  { timeout: 60_000 },
  async (_what, head) => {
    const server = await startTestServer();
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    try {
      await once(socket, "connect");
      const started = performance.now();
      socket.write(head);
      const dripped = setInterval(() => socket.write("a"), 1_000);
      socket.once("close", () => clearInterval(dripped));
      expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 408 /);
      const seconds = (performance.now() - started) / 1_000;
      expect(seconds).toBeGreaterThan(14);
      // Node's own rhythm would make 45 s of them.
      expect(seconds).toBeLessThan(28);
    } finally {
      socket.destroy();
      await server.close();
    }
  },
);

describe("a server that drains", () => {
  let server: TestServer;
  /** Keeps one connection, as a proxy does. */
  let agent: Agent;

  beforeEach(async () => {
    // No test waits for its end.
    server = await startTestServer({ drainSeconds: 300 });
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
  });
  afterEach(async () => {
    agent.destroy();
    await server.close();
  });

  async function ask(path: string) {
    const asked = get(server.url + path, { agent });
    const [[socket], [response]] = (await Promise.all([once(asked, "socket"), once(asked, "response")])) as [
      [Socket],
      [IncomingMessage],
    ];
    return { socket, status: response.statusCode, headers: response.headers, body: await textOf(response) };
  }

  it("is alive and not ready, and serves all else: posts, pages, newcomers and those who are there", async () => {
    const frames: string[] = [];
    const read = async () => {
      const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws/channel/welcome/`);
      socket.on("message", (data) => frames.push(String(data)));
      await once(socket, "open");
      return { socket, closed: once(socket, "close") };
    };
    const before = await read();
    void server.drain();
    const newcomer = await read();

    const ready = await request(server.url, "GET", "/readyz");
    expect([ready.status, ready.json]).toEqual([503, { status: "draining" }]);
    expect((await request(server.url, "GET", "/healthz")).status).toBe(200);
    expect((await request(server.url, "GET", "/live/welcome/")).status).toBe(200);
    const heard = Promise.all([once(before.socket, "message"), once(newcomer.socket, "message")]);
    expect((await server.api("POST", "/api/pages/welcome/posts", text("Still here"))).status).toBe(201);
    expect((await heard).map(String)).toEqual([
      expect.stringContaining("Still here"),
      expect.stringContaining("Still here"),
    ]);

    await server.close();
    expect([(await before.closed)[0], (await newcomer.closed)[0]]).toEqual([1012, 1012]);
    expect(frames.filter((frame) => "retry" in JSON.parse(frame))).toHaveLength(2);
  });

  it("ends kept connections with an answer that says so, and cuts none off", async () => {
    const kept = await ask("/healthz");
    expect(kept.headers.connection).toBe("keep-alive");
    void server.drain();
    const last = await ask("/healthz");
    expect([last.socket, last.status, last.headers.connection]).toEqual([kept.socket, 200, "close"]);
    const next = await ask("/healthz");
    expect(next.socket).not.toBe(kept.socket);
  });

  it("says so in an answer that was waited for when it began", async () => {
    const { json } = await server.api("GET", "/api/channels/welcome");
    const polled = ask(`/updates/channel/welcome/?cursor=${json.cursor}&wait=30`);
    await expect.poll(() => server.hub.stats().readers).toBe(1);
    void server.drain();
    await server.api("POST", "/api/pages/welcome/posts", text("At last"));
    const { headers, body } = await polled;
    expect(body).toContain("At last");
    expect(headers.connection).toBe("close");
  });

  it("answers what it refuses at once, too", async () => {
    void server.drain();
    const { status, headers } = await ask("/%zz");
    expect([status, headers.connection]).toEqual([400, "close"]);
    expect((await ask("/healthz")).status).toBe(200);
  });
});
