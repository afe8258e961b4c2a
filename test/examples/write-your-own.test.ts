import { once } from "node:events";
import { cp, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { attach, type Socket as ServerSocket } from "engine.io";
import { Socket } from "engine.io-client";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { handle } from "../../examples/write-your-own/adapter.ts";
import packageJson from "../../package.json" with { type: "json" };
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import type { Frame } from "../../src/protocol.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { launchBrowser } from "../support/browser.ts";
import { describeWith } from "../support/describe-with.ts";
import { type Example, startCommand } from "../support/example.ts";
import { emptyFolder } from "../support/folder.ts";
import { installPacked } from "../support/packed.ts";
import { type Served, serve } from "../support/serve.ts";
import { request, text } from "../support/server.ts";
import { type Service, startService } from "../support/services.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

// The guide's files as its reader has them: in one folder, beside the package from the tarball.
const { path: folder, dispose } = emptyFolder();
let browser: Browser;
beforeAll(async () => {
  const { dependencies, devDependencies } = packageJson;
  await installPacked(folder, Object.keys({ ...dependencies, ...devDependencies }));
  await cp(fileURLToPath(new URL("../../examples/write-your-own", import.meta.url)), folder, {
    recursive: true,
  });
  browser = await launchBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await dispose();
});

const texts = (tab: Page) => tab.locator(".live-post .live-post-content").allTextContents();
const trimmed = async (tab: Page) => (await texts(tab)).map((each) => each.trim());
const state = (tab: Page, name: string) =>
  tab.locator(`#live-posts[data-live-state=${name}]`).waitFor({ state: "attached" });

describe("the site with a hub", () => {
  it("shows posts; after the server was killed and started again, the page equals it", async () => {
    let site: Example = await startCommand("node site.ts", { cwd: folder });
    ends.push(() => site.end());
    const { url } = site;
    const post = (body: string) =>
      fetch(url, { method: "POST", body, headers: { "Content-Type": "text/plain" } });

    const tab = await browser.newPage();
    // Where WebSockets are blocked, Engine.IO polls.
    const polling = await browser.newPage();
    await polling.addInitScript(() => Reflect.deleteProperty(globalThis, "WebSocket"));
    for (const each of [tab, polling]) {
      await each.goto(url);
      await state(each, "live");
    }
    await post("Kick-off!");
    await post("<b>Goal!</b>");
    for (const each of [tab, polling]) {
      await expect.poll(() => trimmed(each)).toEqual(["<b>Goal!</b>", "Kick-off!"]);
    }

    await site.end();
    await state(tab, "waiting");
    site = await startCommand("node site.ts", { cwd: folder, port: Number(new URL(url).port) });
    await post("while nobody was connected");
    const all = ["while nobody was connected", "<b>Goal!</b>", "Kick-off!"];
    for (const each of [tab, polling])
      await expect.poll(() => trimmed(each), { timeout: 40_000 }).toEqual(all);
    const later = await browser.newPage();
    await later.goto(url);
    expect(await trimmed(later)).toEqual(all);
  }, 90_000);
});

describe.for([["websocket"], ["polling"]])("the adapter over %s", ([transport]) => {
  async function site() {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = createHub({ log, bus, origins: ["own"] });
    const server = createServer();
    const engine = attach(server, { maxHttpBufferSize: 4096, pingInterval: 60_000 });
    engine.on("connection", (socket: ServerSocket) => handle(hub, socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ends.push(async () => {
      engine.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    ends.push(() => hub.close({ drainMs: 0 }));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    async function read(query: Record<string, string>, extraHeaders: Record<string, string> = {}) {
      const socket = new Socket(url, { query, extraHeaders, transports: [transport!], upgrade: false });
      ends.push(() => socket.close());
      const frames: Frame[] = [];
      socket.on("message", (message: string) => frames.push(JSON.parse(message)));
      const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
      await new Promise<void>((resolve) => socket.on("open", () => resolve()));
      return { socket, frames, closed };
    }
    return { hub, publisher: createPublisher({ log, bus }), read };
  }

  const post = (content: string) => ({ show: true, content });

  it("a reader with a cursor gets what it missed as one update, then goes on live", async () => {
    const { publisher, read, hub } = await site();
    const { cursor: start } = await publisher.publish("été & co", { 1: post("one") });
    for (let n = 2; n <= 50; n++) await publisher.publish("été & co", { [n % 7]: post(`version ${n}`) });
    const { frames } = await read({ channel: "été & co", cursor: start });
    await expect.poll(() => frames.length).toBe(1);
    expect(Object.keys(frames[0]!.renders)).toHaveLength(7);
    const { frames: live } = await read({ channel: "été & co" });
    await expect.poll(() => hub.stats().readers).toBe(2);
    const { cursor } = await publisher.publish("été & co", {}, ["1"]);
    for (const each of [frames, live]) {
      await expect.poll(() => each.at(-1)).toEqual({ renders: {}, removals: ["1"], cursor });
    }
    expect([frames.length, live.length]).toEqual([2, 1]);
  });

  it("closes on who may not read, and on a channel that is none", async () => {
    const { read, hub } = await site();
    await (await read({ channel: "finals" }, { origin: "https://elsewhere.example" })).closed;
    await (await read({ channel: "a/b" })).closed;
    await (await read({})).closed;
    expect(hub.stats().readers).toBe(0);
  });

  it("tells the hub of who leaves, and tells readers when to come back", async () => {
    const { read, hub } = await site();
    const [first, second] = [await read({ channel: "finals" }), await read({ channel: "finals" })];
    await expect.poll(() => hub.stats().readers).toBe(2);
    first.socket.close();
    await expect.poll(() => hub.stats().readers).toBe(1);
    await hub.close({ retry: [100, 900] });
    await second.closed;
    expect(second.frames).toEqual([{ renders: {}, removals: [], retry: [100, 900] }]);
    expect(hub.stats().readers).toBe(0);
  });

  it("a reader that does not read is skipped, and then gets one compacted update", async () => {
    const { publisher, read, hub } = await site();
    const { socket, frames } = await read({ channel: "finals" });
    await expect.poll(() => hub.stats().readers).toBe(1);
    const stop = pause(socket);
    const large = "x".repeat(500_000);
    let last = "";
    for (let n = 0; n < 60; n++) {
      last = (await publisher.publish("finals", { 7: post(`${n} ${large}`) })).cursor;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => hub.stats().lagging).toBe(1);
    stop();
    await expect.poll(() => frames.at(-1)?.cursor, { timeout: 10_000 }).toBe(last);
    expect(frames.length).toBeLessThan(60);
  });
});

/** Stops reading from the network; returns what goes on. */
function pause(socket: Socket): () => void {
  const transport = socket.transport as unknown as {
    ws?: { pause(): void; resume(): void };
    doPoll?(): void;
  };
  if (transport.ws) {
    const { ws } = transport;
    ws.pause();
    return () => ws.resume();
  }
  const polls: (() => void)[] = [];
  const poll = transport.doPoll!.bind(transport);
  transport.doPoll = () => void polls.push(poll);
  return () => {
    transport.doPoll = poll;
    for (const each of polls) each();
  };
}

describeWith("redis", () => {
  let redis: Service;
  let newsroom: Served;
  let app: Example;
  beforeAll(async () => {
    redis = await startService("redis");
    const env = { TIDINGS_REDIS_URL: redis.url };
    const cli = join(folder, "node_modules/tidings/dist/app/cli.js");
    const publisher = `${join(folder, "publisher.ts")}#MyWebsocketPublisher`;
    newsroom = await serve({ ...env, TIDINGS_PUBLISHER: publisher }, cli);
    app = await startCommand("node app.ts", { cwd: folder, env });
  });
  afterAll(async () => {
    await app?.end();
    await newsroom?.stop();
    await redis?.close();
  });

  it("the guide's way: what the newsroom posts appears on the app's page", async () => {
    const token = (await readFile(join(newsroom.cwd, "data/token"), "utf8")).trim();
    const headers = { authorization: `Bearer ${token}` };
    const api = (method: string, path: string, body?: unknown) =>
      request(newsroom.url, method, `/api/pages/welcome/posts${path}`, body, headers);
    const tab = await browser.newPage();
    await tab.goto(app.url);
    await state(tab, "live");
    // The app subscribes as the page opens its connection, and nobody tells the page when: try until it hears.
    const { json: first } = await api("POST", "", text("Kick-off!"));
    await expect
      .poll(async () => {
        await api("PATCH", `/${first.id}`, text(`Kick-off! ${Math.random()}`));
        return (await trimmed(tab)).length;
      })
      .toBe(1);
    const { json: second } = await api("POST", "", text("Goal!"));
    await expect.poll(async () => (await trimmed(tab))[0]).toBe("Goal!");
    await api("DELETE", `/${second.id}`);
    await expect.poll(async () => (await trimmed(tab)).length).toBe(1);
  });
});
