import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { request, startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** What the head is answered with, when the parts of a body follow it a second after each other, and after how long. */
async function drip(head: string, parts: Iterable<string>): Promise<{ received: string; seconds: number }> {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  const started = performance.now();
  let received = "";
  let seconds = 0;
  const answered = new Promise<void>((resolve) => {
    socket.setEncoding("latin1").on("data", (chunk) => {
      seconds ||= (performance.now() - started) / 1_000;
      received += chunk;
      if (received.includes("\r\n\r\n")) resolve();
    });
    socket.once("close", resolve);
  });
  socket.write(`${head}\r\nHost: ${new URL(server.url).host}\r\nContent-Type: application/json\r\n\r\n`);
  for (const part of parts) {
    if (received !== "" || socket.destroyed) break;
    socket.write(part);
    await wait(1_000);
  }
  await answered;
  socket.destroy();
  return { received, seconds };
}

const forever = (part: string): Iterable<string> => ({
  *[Symbol.iterator]() {
    for (;;) yield part;
  },
});

it.concurrent.each([
  ["a byte a second of a login", "POST /api/session HTTP/1.1\r\nContent-Length: 1000", forever("a")],
  [
    "a byte a second, with no end told",
    "DELETE /api/session HTTP/1.1\r\nTransfer-Encoding: chunked",
    forever("1\r\na\r\n"),
  ],
  [
    "nothing of a body for a path of readers",
    "POST /updates/channel/welcome HTTP/1.1\r\nContent-Length: 1",
    [],
  ],
])("strangers are answered 408 after 10 s: %s", { timeout: 30_000 }, async (_what, head, parts) => {
  const { received, seconds } = await drip(head, parts);
  expect(received).toMatch(/^HTTP\/1\.1 408 /);
  expect(received).toMatch(/^connection: close\r$/im);
  expect(received).toContain('"code":"too_slow"');
  expect(seconds).toBeGreaterThan(9);
  expect(seconds).toBeLessThan(15);
});

it.concurrent.each(["the token", "a session"])(
  "who may write may take longer: with %s",
  {
    timeout: 40_000,
  },
  async (with_) => {
    const head =
      with_ === "the token"
        ? `Authorization: Bearer ${server.token}`
        : `Cookie: ${await session()}\r\nOrigin: ${server.url}`;
    const body = JSON.stringify(text("It takes its time."));
    const parts = Array.from({ length: 12 }, (_, n) => body.slice(n * 5, n < 11 ? n * 5 + 5 : undefined));
    const { received } = await drip(
      `POST /api/pages/welcome/posts HTTP/1.1\r\n${head}\r\nContent-Length: ${body.length}`,
      parts,
    );
    expect(received).toMatch(/^HTTP\/1\.1 201 /);
  },
);

async function session(): Promise<string> {
  const { headers } = await request(server.url, "POST", "/api/session", { token: server.token });
  return headers.get("set-cookie")!.split(";", 1)[0]!;
}

it("a request without a body costs no timer", async () => {
  const timers = vi.spyOn(globalThis, "setTimeout");
  const waits = () => timers.mock.calls.filter(([, ms]) => ms === 10_000).length;
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  try {
    socket.write("GET /live/welcome/ HTTP/1.1\r\nHost: a\r\n\r\n");
    const [page] = await once(socket, "data");
    expect(String(page)).toMatch(/^HTTP\/1\.1 200 /);
    expect(waits()).toBe(0);
    socket.write("POST /api/session HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n");
    socket.write("Content-Type: application/json\r\n\r\n");
    await expect.poll(waits).toBe(1);
  } finally {
    timers.mockRestore();
    socket.destroy();
  }
});
