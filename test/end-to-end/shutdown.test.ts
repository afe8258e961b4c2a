import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { afterEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { describeWith } from "../support/describe-with.ts";
import { type Served, serve } from "../support/serve.ts";
import { request, text } from "../support/server.ts";
import { startService } from "../support/services.ts";

const TOKEN = "hush-hush-hush-hush";
const AUTHORIZED = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };

let served: Served | undefined;
afterEach(async () => {
  await served?.stop();
  served = undefined;
});

it("SIGTERM: readers are told when to return, what was begun is finished, exit 0 within ten seconds", async () => {
  served = await serve({ TIDINGS_TOKEN: TOKEN });
  const { url, child } = served;
  const readers = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const socket = new WebSocket(`${url.replace("http", "ws")}/ws/channel/welcome/`);
      const frames: string[] = [];
      socket.on("message", (data) => frames.push(String(data)));
      await once(socket, "open");
      return { frames, closed: once(socket, "close") as Promise<[number]> };
    }),
  );
  // A post whose body is on its way when the signal comes.
  const body = JSON.stringify(text("Just in time"));
  const begun = httpRequest(`${url}/api/pages/welcome/posts`, {
    method: "POST",
    headers: { ...AUTHORIZED, "content-length": Buffer.byteLength(body) },
  });
  begun.write(body.slice(0, 10));
  await request(url, "GET", "/healthz");

  const started = Date.now();
  child.kill("SIGTERM");
  const [first] = await readers[0]!.closed;
  begun.end(body.slice(10));
  const [answer] = await once(begun, "response");
  expect(answer.statusCode).toBe(201);
  answer.resume();
  const codes = await Promise.all(readers.map(({ closed }) => closed));
  expect(first).toBe(1012);
  expect(new Set(codes.map(([code]) => code))).toEqual(new Set([1012]));
  for (const { frames } of readers) {
    const { retry } = JSON.parse(frames.find((frame) => frame.includes("retry"))!);
    expect(retry[0]).toBeLessThan(retry[1]);
  }
  const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
  expect(code).toBe(0);
  expect(Date.now() - started).toBeLessThan(10_000);
});

it("SIGTERM with a request that never ends, and a reader that never answers: it ends all the same", async () => {
  served = await serve({ TIDINGS_TOKEN: TOKEN });
  const { url, child } = served;
  const stuck = httpRequest(`${url}/api/pages`, {
    method: "POST",
    headers: { ...AUTHORIZED, "content-length": 9 },
  });
  stuck.on("error", () => {});
  stuck.write("{");
  const deaf = new WebSocket(`${url.replace("http", "ws")}/ws/channel/welcome/`);
  await once(deaf, "open");
  deaf.pause();
  await request(url, "GET", "/healthz");
  const started = Date.now();
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
  expect(Date.now() - started).toBeLessThan(15_000);
  deaf.terminate();
});

it("SIGTERM with TIDINGS_DRAIN_SECONDS: serves for so long, says so, and then sends its readers away; exit 0", async () => {
  served = await serve({ TIDINGS_TOKEN: TOKEN, TIDINGS_DRAIN_SECONDS: "1" });
  const { url, child, output } = served;
  const reader = new WebSocket(`${url.replace("http", "ws")}/ws/channel/welcome/`);
  await once(reader, "open");
  const started = performance.now();
  child.kill("SIGTERM");
  const [code] = await once(reader, "close");
  expect(code).toBe(1012);
  // Timers of Node may be a millisecond early.
  expect(performance.now() - started).toBeGreaterThan(990);
  expect(child.exitCode ?? (await once(child, "exit"))[0]).toBe(0);
  expect(output()).toMatch(/"seconds":1,.*"msg":"draining: [^"]+"}\n.*"msg":"closing"}/);
});

it("SIGTERM, and again while it drains: it has served until then, and ends at once", async () => {
  served = await serve({ TIDINGS_TOKEN: TOKEN, TIDINGS_DRAIN_SECONDS: "300" });
  const { url, child } = served;
  child.kill("SIGTERM");
  await expect.poll(async () => (await request(url, "GET", "/readyz")).status).toBe(503);
  const post = await request(url, "POST", "/api/pages/welcome/posts", text("Still here"), AUTHORIZED);
  expect(post.status).toBe(201);
  child.kill("SIGTERM");
  expect((await once(child, "exit"))[0]).toBe(1);
});

it("SIGINT does not wait for the drain: who presses Ctrl-C has nobody to take over", async () => {
  served = await serve({ TIDINGS_DRAIN_SECONDS: "300" });
  served.child.kill("SIGINT");
  expect((await once(served.child, "exit"))[0]).toBe(0);
});

describeWith("postgres", () => {
  it("SIGTERM while the store hangs with a post under way: exit 0 within ten seconds", async () => {
    const store = await startService("postgres");
    served = await serve({ TIDINGS_TOKEN: TOKEN, TIDINGS_STORE: store.url });
    const { url, child } = served;
    store.pause();
    const post = request(url, "POST", "/api/pages/welcome/posts", text("Into the void"), AUTHORIZED);
    const answer = post.then(
      ({ status }) => status,
      () => 0,
    );
    await request(url, "GET", "/healthz");
    const started = Date.now();
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
    expect(Date.now() - started).toBeLessThan(10_000);
    expect(await answer, "nothing that hangs is acknowledged").not.toBe(201);
    store.resume();
    await store.close();
  });
});
