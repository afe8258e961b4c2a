import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get as plainGet } from "node:http";
import { Agent, get, type RequestOptions } from "node:https";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import { type Service, secondPort, startService } from "../support/services.ts";

// examples/nginx/tidings.conf on a real nginx, with TLS, before the whole server.

describeWith("nginx", () => {
  let nginx: Service;
  let server: TestServer;
  let ca: Buffer;
  let agent: Agent;

  beforeAll(async () => {
    nginx = await startService("nginx");
    ca = readFileSync(join(nginx.folder, "certificate.pem"));
    agent = new Agent({ ca, keepAlive: true, maxSockets: 256 });
    server = await startTestServer({
      port: secondPort(nginx.port),
      trustProxy: ["127.0.0.1"],
      publicUrl: nginx.url,
      maxConnectionsPerAddress: 2,
    });
  });
  afterAll(async () => {
    agent?.destroy();
    await server?.close();
    await nginx?.close();
  });

  const ask = async (path: string, headers: Record<string, string> = {}, options: RequestOptions = {}) => {
    const request = get(nginx.url + path, { agent, headers, ...options });
    const [response] = await once(request, "response");
    return { status: response.statusCode as number, headers: response.headers, body: await textOf(response) };
  };
  const publish = async (page: string, value: string) => {
    const { status, json } = await server.api("POST", `/api/pages/${page}/posts`, text(value));
    expect(status).toBe(201);
    return json.id as string;
  };
  const makePage = async (channelId: string) => {
    await server.api("POST", "/api/pages", { channelId, title: channelId });
    return (await server.api("GET", `/api/channels/${encodeURIComponent(channelId)}`)).json.cursor as string;
  };
  const polls = () => server.hub.stats().polls;

  it("WebSockets pass, from its own pages only, and stay", async () => {
    const cursor = await makePage("sockets");
    const url = `${nginx.url.replace("https", "wss")}/ws/channel/sockets/?cursor=${cursor}`;
    const socket = new WebSocket(url, { ca, origin: nginx.url });
    const message = once(socket, "message");
    await once(socket, "open");
    await publish("sockets", "Kick-off");
    expect(String((await message)[0])).toContain("Kick-off");
    socket.terminate();
    const stranger = new WebSocket(url, { ca, origin: "https://evil.example" });
    const [, refusal] = await once(stranger, "unexpected-response");
    expect(refusal.statusCode).toBe(403);
    stranger.on("error", () => {});
    stranger.terminate();
  });

  it("events of a stream come one by one, as they are published", async () => {
    await makePage("streams");
    const request = get(`${nginx.url}/sse/channel/streams/`, { ca, headers: { "accept-encoding": "gzip" } });
    const [response] = await once(request, "response");
    expect(response.headers["content-encoding"]).toBeUndefined();
    let heard = "";
    response.setEncoding("utf8").on("data", (part: string) => {
      heard += part;
    });
    await eventually(() => expect(heard).toContain("data: "));
    for (const value of ["one", "two", "three"]) {
      await publish("streams", value);
      await eventually(() => expect(heard).toContain(value));
    }
    request.destroy();
    await eventually(() => expect(server.hub.stats().readers).toBe(0));
  });

  it("the limit per address is the readers', and none can claim another's", async () => {
    const cursor = await makePage("limits");
    const url = `${nginx.url.replace("https", "wss")}/ws/channel/limits/?cursor=${cursor}`;
    const open = (localAddress: string, headers = {}) => {
      const socket = new WebSocket(url, { ca, localAddress, headers });
      socket.on("error", () => {});
      return new Promise<number>((resolve) => {
        socket.on("open", () => resolve(101));
        socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
      }).then((status) => ({ status, socket }));
    };
    const forged = { "x-forwarded-for": "203.0.113.7" };
    const opened = [await open("127.0.0.2"), await open("127.0.0.2"), await open("127.0.0.2", forged)];
    opened.push(await open("127.0.0.3"));
    expect(opened.map(({ status }) => status)).toEqual([101, 101, 429, 101]);
    for (const { socket } of opened) socket.terminate();
    await eventually(() => expect(server.hub.stats().readers).toBe(0));
  });

  it("what is polled for comes from the cache: at once, whatever wait says, for each origin its own", async () => {
    const cursor = await makePage("polls");
    await publish("polls", "Kick-off");
    const path = `/updates/channel/polls/?cursor=${cursor}`;
    const before = polls();
    const first = await ask(path, { origin: nginx.url });
    for (const wait of ["&wait=20", "&wait=30&x=1", ""]) {
      expect(await ask(path + wait, { origin: nginx.url })).toMatchObject({ status: 200, body: first.body });
    }
    expect(first.headers["access-control-allow-origin"]).toBe(nginx.url);
    expect(polls() - before).toBe(1);
    const other = await ask(path);
    expect(other.headers["access-control-allow-origin"]).toBeUndefined();
    expect((await ask(path, { origin: "https://evil.example" })).status).toBe(403);
    expect((await ask(path, { origin: nginx.url })).headers["access-control-allow-origin"]).toBe(nginx.url);
    expect(polls() - before).toBe(2);
    // Many at once that nobody has asked for yet.
    const { cursor: head } = JSON.parse(first.body);
    const idle = await Promise.all(
      Array.from({ length: 100 }, () => ask(`/updates/channel/polls/?cursor=${head}`)),
    );
    expect(new Set(idle.map(({ status }) => status))).toEqual(new Set([200]));
    expect(polls() - before).toBe(3);
    const known = await ask(path, { origin: nginx.url, "if-none-match": first.headers.etag! });
    expect(known.status).toBe(304);
    const small = await ask(path, { "accept-encoding": "gzip" });
    expect(small.headers.vary).toContain("Origin");
  });

  it("names of pages arrive as they were written", async () => {
    for (const page of ["é t é", "100%", "日本?#&+", "%2e", "a\\b"]) {
      const cursor = await makePage(page);
      const { status, body } = await ask(`/updates/channel/${encodeURIComponent(page)}/`);
      expect([page, status, JSON.parse(body).cursor]).toEqual([page, 200, cursor]);
      expect((await ask(`/live/${encodeURIComponent(page)}/`)).body).toContain(`data-cursor="${cursor}"`);
    }
    expect((await ask("/updates/channel/a%2Fb/")).status).toBe(400);
    expect((await ask("/updates/channel/polls")).status).toBe(404);
  });

  it("pages are kept by their Cache-Control, and a reader that asks for a newer one gets it", async () => {
    await makePage("pages");
    const before = await ask("/live/pages/");
    await publish("pages", "Kick-off");
    const cursor = (await server.api("GET", "/api/channels/pages")).json.cursor;
    expect((await ask("/live/pages/")).body, "kept for a second").toBe(before.body);
    const newer = await ask(`/live/pages/?at=${cursor}`);
    expect(newer.body).toContain("Kick-off");
    await eventually(async () => expect((await ask("/live/pages/")).body).toContain("Kick-off"));
  });

  it("the editor writes through it, and plain HTTP leads to TLS", async () => {
    const headers = { authorization: `Bearer ${server.token}` };
    expect((await ask("/api/pages", headers)).status).toBe(200);
    expect((await ask("/api/pages")).status).toBe(401);
    expect((await ask("/editor")).headers["strict-transport-security"]).toContain("max-age");
    const request = plainGet({
      socketPath: join(nginx.folder, "plain.sock"),
      path: "/live/pages/",
      headers: { host: "localhost" },
    });
    const [response] = await once(request, "response");
    response.resume();
    expect([response.statusCode, response.headers.location]).toEqual([301, "https://localhost/live/pages/"]);
  });

  it("2,000 readers that poll cost the server two requests a second", { timeout: 120_000 }, async () => {
    const cursors = [await makePage("crowd")];
    /** Ids, oldest first. */
    const model: string[] = [];
    const write = async () => {
      model.push(await publish("crowd", `Update ${model.length}`));
      cursors.push((await server.api("GET", "/api/channels/crowd")).json.cursor);
    };
    while (model.length < 20) await write();
    const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    let isOver = false;
    let longest = 0;

    /** Starts with a page of some age, and asks at the pace of src/client/transports.ts. */
    async function follow(age: number): Promise<string[]> {
      const ids = model.slice(0, age);
      let cursor = cursors[age]!;
      await sleep(Math.random() * 2_000);
      for (;;) {
        const asked = Date.now();
        const { status, body } = await ask(`/updates/channel/crowd/?cursor=${cursor}&wait=20`);
        expect(status).toBe(200);
        longest = Math.max(longest, Date.now() - asked);
        const frame = JSON.parse(body) as { renders: Record<string, { at: number }>; cursor: string };
        const renders = Object.entries(frame.renders).sort(([, a], [, b]) => a.at - b.at);
        ids.push(...renders.map(([id]) => id));
        const pause = frame.cursor === cursor ? 2_000 : 500;
        if (isOver && frame.cursor === cursors.at(-1)) return ids;
        cursor = frame.cursor;
        await sleep(Math.max(0, pause * (0.75 + Math.random() / 2) - (Date.now() - asked)));
      }
    }

    const readers = Array.from({ length: 2_000 }, (_, n) => follow(n % 20));
    /** Requests that reach the server while `updates` are published in each second. */
    const measure = async (seconds: number, updates: number) => {
      const [before, began] = [polls(), performance.now()];
      for (let n = 1; n <= seconds * updates; n++) {
        await write();
        await sleep(Math.max(0, (n / updates) * 1_000 - (performance.now() - began)));
      }
      return polls() - before;
    };
    // They come together: an answer for each of the twenty cursors, and then for those that they share.
    const first = await measure(3, 1);
    const steady = await measure(15, 1);
    const busy = await measure(6, 10);
    isOver = true;
    for (const ids of await Promise.all(readers)) expect(ids).toEqual(model);
    // One more, for what is counted began in the middle of a second.
    expect(first).toBeLessThanOrEqual(20 + 2 * 3 + 1);
    expect(steady).toBeLessThanOrEqual(2 * 15 + 1);
    expect(busy).toBeLessThanOrEqual(2 * 6 + 1);
    expect(longest, "the longest that an answer took, in ms").toBeLessThan(5_000);
  });

  it("while the server is away, readers that poll get the last answers", async () => {
    const cursor = await makePage("away");
    const path = `/updates/channel/away/?cursor=${cursor}`;
    const { body } = await ask(path);
    await server.close();
    const end = Date.now() + 3_000; // longer than it may be kept
    while (Date.now() < end) {
      expect(await ask(path)).toMatchObject({ status: 200, body });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect((await ask("/updates/channel/unknown/")).status).toBe(502);
  });
});
