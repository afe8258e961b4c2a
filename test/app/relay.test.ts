import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventually } from "../../src/testing/runner.ts";
import { runCli } from "../support/cli.ts";
import { describeWith } from "../support/describe-with.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";
import { type Service, startService } from "../support/services.ts";
import { sitePost, type WagtailSite, wagtailSite } from "../support/wagtail.ts";

describeWith("redis", () => {
  let redis: Service;
  let site: WagtailSite;
  let relay: TestRelay;
  const sockets: WebSocket[] = [];

  beforeEach(async () => {
    redis = await startService("redis");
    site = await wagtailSite(redis.url);
    relay = await startTestRelay(redis.url, { token: "a-token-of-the-tests" });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    await relay.close();
    site.close();
    await redis.close();
  });

  async function read(path: string): Promise<{ frames: Record<string, unknown>[]; socket: WebSocket }> {
    // Compressed, what is to fill a socket would be little.
    const socket = new WebSocket(relay.url.replace("http", "ws") + path, { perMessageDeflate: false });
    sockets.push(socket);
    const frames: Record<string, unknown>[] = [];
    socket.on("message", (data) => frames.push(JSON.parse(String(data))));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return { frames, socket };
  }

  const refused = (path: string) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(relay.url.replace("http", "ws") + path);
      socket.on("unexpected-response", (request, response) => {
        resolve(response.statusCode);
        request.destroy();
      });
      socket.on("open", () => reject(new Error(`${path} was let in`)));
      socket.on("error", reject);
    });

  const render = (id: string, text = id, show = true) => [id, show, sitePost(id, text)] as const;

  test("an original client gets exactly the frames it knows; ours can resume", async () => {
    const original = await read("/ws/channel/finals/");
    const ours = await read("/ws/channel/finals/?cursor=");
    await site.publish("finals", { renders: [render("10"), render("9")], removals: ["x"] });
    const frame = {
      renders: {
        9: { show: true, content: sitePost("9", "9") },
        10: { show: true, content: sitePost("10", "10") },
      },
      removals: ["x"],
    };
    await eventually(() => expect(original.frames).toEqual([frame]));
    await eventually(() => expect(ours.frames).toHaveLength(1));
    const { cursor } = ours.frames[0] as { cursor: string };
    expect(ours.frames[0]).toMatchObject({ renders: { 10: { at: 1 }, 9: { at: 2 } } });
    ours.socket.terminate();
    await site.publish("finals", { renders: [render("11")] });
    const again = await read(`/ws/channel/finals/?cursor=${cursor}`);
    await eventually(() => expect(again.frames).toHaveLength(1));
    expect(Object.keys((again.frames[0] as { renders: object }).renders)).toEqual(["11"]);
  });

  test("a hidden post leaves as an empty shell", async () => {
    const original = await read("/ws/channel/finals/");
    await site.publish("finals", { renders: [render("a", "secret", false)] });
    await eventually(() => expect(original.frames).toHaveLength(1));
    expect(original.frames[0]).toEqual({
      renders: { a: { show: false, content: '<div class="live-post" data-post-id="a"></div>' } },
      removals: [],
    });
  });

  test("paths that a site can rely on work, and those that are mistakes are told", async () => {
    for (const path of [
      "/ws/channel/-100123/",
      "/behind/a/proxy/ws/channel/-100123/",
      "/ws/channel/-100123/?token=1",
    ]) {
      const { frames } = await read(path);
      await site.publish("-100123", { renders: [render(path.length.toString())] });
      await eventually(() => expect(frames).not.toEqual([]));
    }
    const encoded = await read(`/ws/channel/${encodeURIComponent("é t é")}/`);
    await site.publish("é t é", { renders: [render("a")] });
    await eventually(() => expect(encoded.frames).toHaveLength(1));
    expect(await refused("/ws/channel/finals")).toBe(404);
    expect(await refused("/elsewhere/")).toBe(404);
    expect(await refused("/ws/channel/a%2Fb/")).toBe(400);
  });

  test("any origin may read, unless some are named", async () => {
    const open = (origin: string, url: string) =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/ws/channel/finals/`, { origin });
        sockets.push(socket);
        socket.on("open", () => resolve(101));
        socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
        socket.on("error", () => {});
      });
    expect(await open("https://news.example", relay.url)).toBe(101);
    const strict = await startTestRelay(redis.url, { origins: ["own", "https://news.example"] });
    expect(await open("https://news.example", strict.url)).toBe(101);
    expect(await open("https://evil.example", strict.url)).toBe(403);
    for (const socket of sockets.splice(0)) socket.terminate();
    await strict.close();
  });

  test("messages that are no updates are logged, one line each, and hurt nobody", async () => {
    const { frames } = await read("/ws/channel/finals/");
    await site.publish("finals", "no JSON");
    await site.publish("finals", '{"renders": {"a": {"sho');
    await site.publish("finals", '{"renders": [], "removals": {}}');
    await site.publish("finals", Buffer.from([0xff, 0xfe, 0x00]));
    await site.publish("finals", { renders: [render("big", "x".repeat(10_000_000))] });
    await site.publish(
      "finals",
      '{"renders": {"bad": {"show": true}, "good": {"show": true, "content": ""}}}',
    );
    await eventually(() => expect(frames).toHaveLength(1));
    expect(Object.keys((frames[0] as { renders: object }).renders)).toEqual(["good"]);
    expect(relay.warnings.map(({ stage, channel }) => [stage, channel])).toEqual(
      Array.from({ length: 6 }, () => ["message", "group_finals"]),
    );
    expect(relay.warnings.at(-1)!.err!.message).toContain("renders.bad.content");
    expect(relay.hub.stats().readers).toBe(1);
    const { headers, body } = await metrics();
    expect(headers).toBe(200);
    expect(body).toMatch(/^tidings_relay_unreadable_total 6$/m);
  });

  const metrics = async () => {
    const authorization = "Bearer a-token-of-the-tests";
    const response = await fetch(`${relay.url}/metrics`, { headers: { authorization } });
    return { headers: response.status, body: await response.text() };
  };

  test("a page without readers is let go of, and cursors from before then do not hold", async () => {
    const ours = await read("/ws/channel/finals/?cursor=");
    await site.publish("finals", { renders: [render("a")] });
    await eventually(() => expect(ours.frames).toHaveLength(1));
    const { cursor } = ours.frames[0] as { cursor: string };
    ours.socket.close();
    await eventually(
      async () => expect(await site.publish("finals", { renders: [render("unheard")] })).toBe(0),
      30_000,
    );
    const again = await read(`/ws/channel/finals/?cursor=${cursor}`);
    await eventually(() => expect(again.frames).toHaveLength(1));
    expect(again.frames[0]).toMatchObject({ reset: true, renders: {} });
    expect((again.frames[0] as { cursor: string }).cursor.split(".")[0]).not.toBe(cursor.split(".")[0]);
  }, 45_000);

  test("a page that readers poll keeps its history, whoever asks for pages that are none", async () => {
    const poll = async (page: string, cursor = "") => {
      const response = await fetch(`${relay.url}/updates/channel/${page}/?cursor=${cursor}`);
      return (await response.json()) as { cursor: string; renders: object; reset?: true };
    };
    const { cursor } = await poll("finals", (await poll("finals")).cursor);
    for (let n = 0; n < 1_100; n += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => poll(`invented-${n + i}`)));
    }
    await site.publish("finals", { renders: [render("a")] });
    await eventually(async () => expect((await poll("finals", cursor)).renders).toHaveProperty("a"));
    expect(await poll("finals", cursor)).not.toHaveProperty("reset");
  }, 30_000);

  test("one subscription a page, however many read it", async () => {
    for (let n = 0; n < 5; n++) await read("/ws/channel/finals/");
    expect(await site.publish("finals", { renders: [render("a")] })).toBe(1);
  });

  test("Redis lost and back: readers with a cursor are told to reset, and what comes then arrives", async () => {
    const original = await read("/ws/channel/finals/");
    const ours = await read("/ws/channel/finals/?cursor=");
    await site.publish("finals", { renders: [render("a")] });
    await eventually(() => expect(ours.frames).toHaveLength(1));
    await redis.kill();
    await redis.start();
    await eventually(
      async () => expect(await site.publish("finals", { renders: [render("b")] })).toBe(1),
      15_000,
    );
    await eventually(() => expect(ours.frames.some(({ reset }) => reset)).toBe(true), 15_000);
    await site.publish("finals", { renders: [render("c")] });
    const ids = (frames: readonly Record<string, unknown>[]) =>
      frames.flatMap(({ renders }) => Object.keys(renders as object));
    await eventually(() => expect(ids(ours.frames)).toContain("c"));
    await eventually(() => expect(ids(original.frames)).toContain("c"));
    expect(ids(original.frames)[0]).toBe("a");
  }, 45_000);

  test("takes updates over HTTP, with the token, and hands them to every relay", async () => {
    const other = await startTestRelay(redis.url);
    const socket = new WebSocket(`${other.url.replace("http", "ws")}/ws/channel/finals/`);
    sockets.push(socket);
    const frames: unknown[] = [];
    socket.on("message", (data) => frames.push(JSON.parse(String(data))));
    await new Promise((resolve) => socket.once("open", resolve));
    const post = (url: string, body: object, authorization = "Bearer a-token-of-the-tests") =>
      fetch(`${url}/api/channels/finals/updates`, {
        method: "POST",
        headers: { authorization, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const update = { renders: { a: { show: true, content: "A" } }, removals: ["b"] };
    expect((await post(relay.url, update)).status).toBe(202);
    await eventually(() => expect(frames).toEqual([update]));
    expect((await post(relay.url, update, "Bearer wrong")).status).toBe(401);
    expect((await post(relay.url, { renders: { a: 1 } })).status).toBe(400);
    const without = await post(other.url, update);
    expect(without.status).toBe(401);
    expect(await without.text()).toContain("TIDINGS_TOKEN");
    await redis.kill();
    const away = await post(relay.url, update);
    expect([away.status, await away.text()]).toEqual([
      503,
      expect.stringContaining("Redis does not take it now"),
    ]);
    expect(relay.warnings.at(-1)?.err?.message).toMatch(
      /^\[tidings\] \[relay\] Redis cannot be reached: (?:(?!Redis|tidings).)+$/,
    );
    expect((await fetch(`${relay.url}/readyz`)).status).toBe(503);
    socket.terminate();
    await other.close();
  }, 45_000);

  test("gives out no cursors, which another relay would not know, and takes nothing that it cannot keep", async () => {
    const headers = { authorization: "Bearer a-token-of-the-tests", "content-type": "application/json" };
    expect((await fetch(`${relay.url}/api/channels/finals`, { headers })).status).toBe(404);
    const post = (body: object, more: Record<string, string> = {}) =>
      fetch(`${relay.url}/api/channels/finals/updates`, {
        method: "POST",
        headers: { ...headers, ...more },
        body: JSON.stringify(body),
      });
    const versioned = await post({ renders: { a: { show: true, content: "", version: 2 } } });
    expect([versioned.status, (await versioned.json()).error.field]).toEqual([400, "version"]);
    const empty = await fetch(`${relay.url}/api/channels/finals/updates`, {
      method: "POST",
      headers: { authorization: headers.authorization },
    });
    expect([empty.status, (await empty.json()).error.message]).toEqual([
      400,
      "the body must hold renders, removals, or both",
    ]);
    expect((await post({ renders: {} }, { "Idempotency-Key": "k" })).status).toBe(400);
    const { frames } = await read("/ws/channel/finals/?cursor=");
    await post({ renders: ["10", "9"].map((id) => ({ id, show: true, content: id })) });
    await eventually(() => expect(frames).toHaveLength(1));
    expect(frames[0]).toMatchObject({ renders: { 10: { at: 1 }, 9: { at: 2 } } });
  });

  test("what is published again is sent again: somebody may have missed it", async () => {
    const { frames } = await read("/ws/channel/finals/");
    for (let n = 0; n < 2; n++) await site.publish("finals", { renders: [render("a")], removals: ["z"] });
    await eventually(() => expect(frames).toHaveLength(2));
    expect(frames[1]).toEqual(frames[0]);
  });

  test("original clients get all that Redis took since it is back, also those who read slowly", async () => {
    const quick = await read("/ws/channel/finals/");
    const slow = await read("/ws/channel/finals/");
    slow.socket.pause();
    const large = "x".repeat(500_000);
    for (let n = 0; n < 20; n++) await site.publish("finals", { renders: [render(`before ${n}`, large)] });
    const taken: string[] = [];
    await redis.kill();
    await redis.start();
    const until = Date.now() + 15_000;
    for (let n = 0; taken.length < 20 && Date.now() < until; n++) {
      const heard = await site.publish("finals", { renders: [render(`after ${n}`)] }).catch(() => 0);
      if (heard === 1) taken.push(`after ${n}`);
    }
    expect(taken).toHaveLength(20);
    slow.socket.resume();
    const after = (frames: readonly Record<string, unknown>[]) =>
      frames.flatMap(({ renders }) => Object.keys(renders as object)).filter((id) => id.startsWith("after"));
    for (const { frames } of [quick, slow]) {
      await eventually(() => expect(after(frames).filter((id) => taken.includes(id))).toEqual(taken), 15_000);
    }
  }, 60_000);

  test("serves readers where WebSockets are blocked, and the scripts", async () => {
    const polled = await fetch(`${relay.url}/updates/channel/finals/`);
    const { cursor } = (await polled.json()) as { cursor: string };
    await site.publish("finals", { renders: [render("a")] });
    const next = await fetch(`${relay.url}/updates/channel/finals/?cursor=${cursor}&wait=5`);
    expect(await next.json()).toMatchObject({ renders: { a: { show: true } } });
    expect(next.headers.get("access-control-allow-origin")).toBe("*");
    expect((await fetch(`${relay.url}/assets/tidings.js`)).status).toBe(200);
    expect(await (await fetch(`${relay.url}/readyz`)).json()).toEqual({ status: "ok", bus: "up" });
  });

  test("as a command: the site's settings, SIGTERM sends readers away and ends with 0", async () => {
    const cli = fileURLToPath(new URL("../../src/app/cli.ts", import.meta.url));
    const child = spawn(process.execPath, [cli, "relay", "--host", "127.0.0.1"], {
      env: { PATH: process.env.PATH, WAGTAIL_LIVE_REDIS_URL: redis.url, WAGTAIL_LIVE_SERVER_PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    await eventually(() => expect(output).toMatch(/ws:\/\/127\.0\.0\.1:\d+\/ws\/channel\//));
    const [url] = /ws:\/\/127\.0\.0\.1:\d+/.exec(output)!;
    const socket = new WebSocket(`${url}/ws/channel/finals/?cursor=`);
    sockets.push(socket);
    const frames: { retry?: number[]; renders: object }[] = [];
    socket.on("message", (data) => frames.push(JSON.parse(String(data))));
    await once(socket, "open");
    await site.publish("finals", { renders: [render("a")] });
    await eventually(() => expect(Object.keys(frames[0]?.renders ?? {})).toEqual(["a"]));
    const closed = once(socket, "close");
    child.kill("SIGTERM");
    expect((await closed)[0]).toBe(1012);
    expect(frames.at(-1)?.retry).toHaveLength(2);
    expect((await exit)[0]).toBe(0);
  });

  test("serves on as it drains, and is not ready", async () => {
    await relay.close();
    relay = await startTestRelay(redis.url, { drainSeconds: 300 });
    void relay.drain();
    const ready = await fetch(`${relay.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: "draining" }]);
    expect((await fetch(`${relay.url}/healthz`)).status).toBe(200);
    const { frames, socket } = await read("/ws/channel/finals/");
    await site.publish("finals", { renders: [render("a")] });
    await eventually(() => expect(Object.keys(frames[0]?.renders ?? {})).toEqual(["a"]));
    const closed = once(socket, "close");
    await relay.close();
    expect((await closed)[0]).toBe(1012);
  });

  test("says what is wrong in one line, and ends with 2", async () => {
    const { port } = new URL(relay.url);
    const taken = await runCli(["relay", "--host", "127.0.0.1", "--port", port, "--redis-url", redis.url]);
    expect(taken).toMatchObject({ status: 2 });
    expect(taken.stderr).toContain("is taken");
    expect(taken.stdout).toBe("");
    for (const url of ["http://x", "redis://:hush%2@host", "redis://:hush@host/abc"]) {
      const wrong = await runCli(["relay"], { env: { WAGTAIL_LIVE_REDIS_URL: url } });
      expect(wrong).toMatchObject({ status: 2, stdout: "" });
      expect(wrong.stderr).toMatch(/^tidings: WAGTAIL_LIVE_REDIS_URL \(environment\) .* must be redis:.*\n$/);
      expect(wrong.stderr).not.toContain("hush");
    }
  });
});
