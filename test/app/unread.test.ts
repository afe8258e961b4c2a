import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const CHUNK = `10000\r\n${"a".repeat(0x10000)}\r\n`;

/** Sends a body without end, and reads what comes until the connection is over. */
async function flood(head: string, { isLazy = false } = {}): Promise<string> {
  const socket = connect({ port: Number(new URL(server.url).port), host: "127.0.0.1", allowHalfOpen: true });
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    received += chunk;
  });
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, "connect");
  socket.write(
    `${head} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const more = () => {
    while (socket.writable && socket.write(CHUNK));
  };
  if (isLazy) socket.once("end", () => socket.end());
  else {
    socket.on("drain", more);
    more();
  }
  await closed;
  return received;
}

describe("an answer that comes before the body is in", () => {
  it.concurrent.each([
    ["POST /api/pages/welcome/posts", 401],
    ["DELETE /api/pages/welcome", 401],
    ["POST /api/session", 413],
    ["DELETE /api/session", 413],
    ["POST /nothing", 404],
    ["POST /ws/channel/welcome/", 404],
    ["POST /sse/channel/welcome/", 405],
    ["POST /updates/channel/welcome/", 405],
    ["POST /updates/channel/welcome", 413],
    ["GET /healthz", 200],
    ["GET /updates/channel/welcome/", 200],
    ["POST /%zz", 400],
  ])("is read by who still sends, and ends the connection: %s is answered %i", async (head, status) => {
    const received = await flood(head);
    expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(received).toMatch(/^connection: close\r$/im);
  });

  it("comes without waiting for the body where none is wanted", async () => {
    for (const [head, status] of [
      ["POST /nothing", 404],
      ["POST /api/pages/welcome/posts", 401],
    ] as const) {
      expect(await flood(head, { isLazy: true })).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
  });
});

it("keeps the connection of who has sent all", async () => {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    received += chunk;
  });
  for (const status of [401, 404]) {
    received = "";
    const path = status === 401 ? "/api/pages" : "/nothing";
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    await once(socket, "data");
    expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(received).not.toMatch(/^connection: close/im);
  }
  socket.destroy();
});
