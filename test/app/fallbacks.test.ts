import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import type { Settings } from "../../src/app/settings.ts";
import { answerOf, ask } from "../../src/testing/http-client.ts";
import { eventually } from "../../src/testing/runner.ts";
import { type Served, serve } from "../support/serve.ts";
import { request, startTestServer, type TestServer, text } from "../support/server.ts";

const TOKEN = "hush-hush-hush-hush";

let server: TestServer | undefined;
let served: Served | undefined;
afterEach(async () => {
  await server?.close();
  await served?.stop();
  [server, served] = [undefined, undefined];
});

async function start(overrides: Partial<Settings> = {}) {
  server = await startTestServer(overrides);
  const { url, hub, api } = server;
  const { json } = await api("GET", "/api/channels/welcome");
  return { url, hub, api, cursor: json.cursor as string };
}

describe("tidings serve", () => {
  it("streams what is posted, and tells it to who polls", async () => {
    const { url, api, hub, cursor } = await start();
    const stream = await ask(`${url}/sse/channel/welcome/?cursor=${cursor}`);
    const waiting = answerOf(`${url}/updates/channel/welcome/?cursor=${cursor}&wait=30`);
    await eventually(() => expect(hub.stats().readers).toBe(2));
    await api("POST", "/api/pages/welcome/posts", text("Goal!"));
    expect((await waiting).body).toContain("Goal!");
    await eventually(() => expect(stream.body()).toContain("Goal!"));
    expect((await answerOf(`${url}/updates/channel/welcome/?cursor=${cursor}`)).body).toContain("Goal!");
    stream.socket.destroy();
    await eventually(() => expect(hub.stats().readers).toBe(0));
  });

  it("lets scripts of TIDINGS_ORIGINS, and of its own pages, read", async () => {
    const { url } = await start({ origins: ["own", "https://news.example"] });
    for (const way of ["sse", "updates"]) {
      const from = async (origin: string) => {
        const { status, headers, socket } = await ask(`${url}/${way}/channel/welcome/`, {
          headers: { origin },
        });
        socket.destroy();
        return [status, headers["access-control-allow-origin"], headers.vary];
      };
      expect(await from("https://news.example")).toEqual([200, "https://news.example", "Origin"]);
      expect(await from(url)).toEqual([200, url, "Origin"]);
      expect(await from("https://evil.example")).toEqual([403, undefined, "Origin"]);
    }
  });

  it("takes the address and the host from a proxy that it trusts, and from nobody else", async () => {
    const headers = { "x-forwarded-host": "live.example", origin: "https://live.example" };
    for (const [trustProxy, statuses] of [
      [["127.0.0.1"], [200, 200, 429]],
      [false, [403, 403, 403]],
    ] as const) {
      const { url } = await start({ trustProxy, maxConnectionsPerAddress: 1 });
      const opened = [];
      for (const address of ["203.0.113.1", "203.0.113.2", "203.0.113.1"]) {
        const asking = { headers: { ...headers, "x-forwarded-for": address } };
        opened.push(await ask(`${url}/sse/channel/welcome/`, asking));
      }
      expect(opened.map(({ status }) => status)).toEqual(statuses);
      for (const { socket } of opened) socket.destroy();
      await server!.close();
      server = undefined;
    }
  });

  it("answers what is no page of these with its own 404, or with what is wrong", async () => {
    const { url } = await start();
    const status = async (path: string, method = "GET") => (await answerOf(url + path, { method })).status;
    for (const way of ["sse", "updates"]) {
      expect(await status(`/${way}/channel/welcome`)).toBe(404);
      expect(await status(`/${way}/channel/a/b/`)).toBe(404);
      expect(await status(`/${way}/channel/a%2Fb/`)).toBe(400);
      expect(await status(`/${way}/channel/%FF/`)).toBe(400);
      expect(await status(`/${way}/channel/${"x".repeat(256)}/`)).toBe(400);
    }
    for (const path of ["/sse/channel/welcome/", "/updates/channel/welcome/"]) {
      const body = new Uint8Array(100_000);
      expect((await request(url, "POST", path, body)).status).toBe(405);
      expect(await status(path, "HEAD")).toBe(200);
    }
    expect(await status(`/updates/channel/${"%F0%9F%8E%89".repeat(127)}/`)).toBe(200);
  });

  it("counts them, and measures no request that lasts", async () => {
    const { url, hub, api, cursor } = await start();
    const stream = await ask(`${url}/sse/channel/welcome/`);
    await answerOf(`${url}/updates/channel/welcome/?cursor=${cursor}`);
    await answerOf(`${url}/updates/channel/welcome/?cursor=${cursor}&wait=0.1`);
    await eventually(() => expect(hub.stats().readers).toBe(1));
    stream.socket.destroy();
    await eventually(() => expect(hub.stats().readers).toBe(0));
    const { text: metrics } = await api("GET", "/metrics");
    expect(metrics).toMatch(/^tidings_readers_admitted_total 2$/m);
    expect(metrics).toMatch(/^tidings_polls_total 1$/m);
    expect(metrics).not.toMatch(/route="\/(sse|updates)/);
  });

  it("SIGTERM: streams and waiting answers are told when to return, exit 0 within ten seconds", async () => {
    served = await serve();
    const { url, child } = served;
    const { body } = await answerOf(`${url}/updates/channel/welcome/`);
    const { cursor } = JSON.parse(body);
    const streams = await Promise.all(
      Array.from({ length: 100 }, () => ask(`${url}/sse/channel/welcome/?cursor=${cursor}`)),
    );
    const waiting = Array.from({ length: 100 }, () =>
      answerOf(`${url}/updates/channel/welcome/?cursor=${cursor}&wait=30`),
    );
    // An answer that comes after those who wait were let in.
    await answerOf(`${url}/updates/channel/welcome/?cursor=${cursor}&wait=0.1`);
    const started = Date.now();
    child.kill("SIGTERM");
    for (const { ended } of streams) expect(await ended).toMatch(/"retry":\[\d+,\d+\]\}\n\n$/);
    for (const answer of await Promise.all(waiting)) {
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body).retry).toHaveLength(2);
    }
    const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
    expect(code).toBe(0);
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it("SIGTERM with a stream that is full, and that nobody reads: it ends all the same", async () => {
    served = await serve({ TIDINGS_TOKEN: TOKEN });
    const { url, child } = served;
    const deaf = await ask(`${url}/sse/channel/welcome/`);
    deaf.socket.pause();
    const headers = { authorization: `Bearer ${TOKEN}` };
    const lagging = async () => {
      const { text: metrics } = await request(url, "GET", "/metrics", undefined, headers);
      return Number(/^tidings_readers_lagging (\d+)$/m.exec(metrics)![1]);
    };
    while ((await lagging()) === 0) {
      await request(url, "POST", "/api/pages/welcome/posts", text("x".repeat(900_000)), headers);
    }
    const started = Date.now();
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
    expect(Date.now() - started).toBeLessThan(10_000);
    deaf.socket.destroy();
  });
});
