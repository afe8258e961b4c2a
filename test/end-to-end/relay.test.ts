import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { eventually } from "../../src/testing/runner.ts";
import { launchBrowser } from "../support/browser.ts";
import { describeWith } from "../support/describe-with.ts";
import { startTestRelay, type TestRelay } from "../support/relay.ts";
import { type Service, startService } from "../support/services.ts";
import { sitePost, type WagtailSite, wagtailSite } from "../support/wagtail.ts";

/** A client that does what Wagtail Live's does, and no more: no cursor, and it never comes back. */
const ORIGINAL_CLIENT = `
  const list = document.getElementById("live-posts");
  const find = (id) => [...list.querySelectorAll(".live-post")].find((post) => post.dataset.postId === id);
  const socket = new WebSocket("ws://" + serverHost + ":" + serverPort + "/ws/channel/" + channelID + "/");
  window.logged = [];
  socket.onmessage = (event) => {
    const data = JSON.parse(event.data);
    for (const id in data.renders) {
      const { show, content } = data.renders[id];
      const known = find(id);
      const wrapper = known ? known.parentElement : document.createElement("div");
      wrapper.className = "live-post-wrapper";
      wrapper.innerHTML = content;
      wrapper.style.display = show ? "block" : "none";
      if (!known) list.prepend(wrapper);
    }
    data.removals.forEach((id) => find(id)?.parentElement.remove());
  };
  socket.onclose = () => window.logged.push("closed");
`;

describeWith("redis", () => {
  let browser: Browser;
  let redis: Service;
  let site: WagtailSite;
  let relay: TestRelay;
  /** The site's own page, as its templates render it: no cursor, no places. */
  let posts: [id: string, text: string, show?: boolean][] = [];
  let pages: { url: string; close(): void };
  let page: Page;

  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    redis = await startService("redis");
    site = await wagtailSite(redis.url);
    relay = await startTestRelay(redis.url);
    posts = [["first", "First"]];
    pages = await startPages(() => relay.url);
    page = await (await browser.newContext()).newPage();
  });
  afterEach(async () => {
    await page.context().close();
    pages.close();
    await relay.close();
    site.close();
    await redis.close();
  });

  async function startPages(relayUrl: () => string): Promise<{ url: string; close(): void }> {
    const server = createServer((request, response) => {
      const { hostname, port } = new URL(relayUrl());
      const html = posts.map(
        ([id, text, show = true]) =>
          `<div class="live-post-wrapper"${show ? "" : " hidden"}>${sitePost(id, text)}</div>`,
      );
      const script = request.url?.startsWith("/original")
        ? `<script>${ORIGINAL_CLIENT}</script>`
        : `<script src="${relayUrl()}/assets/tidings.js"></script>
           <script>tidings.connect({ url: serverHost + ":" + serverPort })</script>`;
      response.setHeader("content-type", "text/html").end(`<!doctype html><meta charset="utf-8">
        <div id="live-posts">${html.join("")}</div>
        <script>const channelID = "finals", serverHost = "${hostname}", serverPort = "${port}";</script>${script}`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      close() {
        server.closeAllConnections();
        server.close();
      },
    };
  }

  /** Saves on the site: its page and what it publishes change together. */
  async function save(id: string, text: string, show = true): Promise<void> {
    const known = posts.find(([each]) => each === id);
    if (known) posts = posts.map((each) => (each === known ? [id, text, show] : each));
    else posts = [[id, text, show], ...posts];
    await site.publish("finals", { renders: [[id, show, sitePost(id, text)]] });
  }
  async function remove(id: string): Promise<void> {
    posts = posts.filter(([each]) => each !== id);
    await site.publish("finals", { removals: [id] });
  }

  const shown = () =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>(".live-post-wrapper")]
        .filter((wrapper) => wrapper.offsetParent !== null || getComputedStyle(wrapper).display !== "none")
        .map((wrapper) => wrapper.textContent?.trim()),
    );
  const onSite = () => posts.filter(([, , show = true]) => show).map(([, text]) => text);
  const equal = () => expect.poll(shown, { timeout: 15_000 }).toEqual(onSite());

  test.for(["/original", "/ours"])("%s shows each post, edit, hide, show, delete", async (path) => {
    await page.goto(pages.url + path);
    await eventually(() => expect(relay.hub.stats().readers).toBe(1));
    await save("a", "Kick-off — ½ 🎉");
    await equal();
    await save("b", "Goal");
    await equal();
    await save("a", "Kick-off, again");
    await equal();
    await save("b", "Goal", false);
    await equal();
    expect(await page.content()).not.toContain("Goal");
    await save("b", "Goal, after all");
    await equal();
    await remove("a");
    await equal();
    await save("first", "First, edited");
    await equal();
  });

  test("our client equals the page after Redis was away, and after the relay was", async () => {
    await page.goto(`${pages.url}/ours`);
    await eventually(() => expect(relay.hub.stats().readers).toBe(1));
    await save("a", "A");
    await save("b", "B");
    await equal();
    await redis.kill();
    posts = [["c", "C, while nobody listened"], ...posts.filter(([id]) => id !== "a")];
    await redis.start();
    await eventually(async () => {
      await save("d", "D");
      expect(onSite()[0]).toBe("D");
    }, 15_000);
    await equal();
    await save("b", "B, edited, stays in its place");
    await equal();
    await save("e", "E");
    await equal();

    const port = Number(new URL(relay.url).port);
    await relay.close();
    posts = [["f", "F, while there was no relay"], ...posts];
    relay = await startTestRelay(redis.url, { port });
    await eventually(() => expect(relay.hub.stats().readers).toBe(1), 30_000);
    await equal();
    await save("b", "B, edited once more");
    await save("g", "G");
    await equal();
  }, 90_000);

  test("500 readers of both kinds get every update that is published after Redis came back", async () => {
    const got = Array.from({ length: 500 }, () => [] as string[]);
    const sockets = got.map((ids, n) => {
      // The even ones are original clients.
      const socket = new WebSocket(
        `${relay.url.replace("http", "ws")}/ws/channel/finals/${n % 2 ? "?cursor=" : ""}`,
      );
      socket.on("message", (data) => ids.push(...Object.keys(JSON.parse(String(data)).renders)));
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, "open")));
    await save("before", "before");
    // Redis answers who publishes before it has written to who listens: killed at once, it may keep the update to itself.
    for (const ids of got) await eventually(() => expect(ids).toEqual(["before"]), 20_000);
    await redis.kill();
    await redis.start();
    await eventually(async () => expect(await site.publish("finals", {})).toBe(1), 20_000);
    const names = Array.from({ length: 50 }, (_, n) => `after ${n}`);
    for (const name of names) await save(name, name);
    for (const ids of got) await eventually(() => expect(ids).toEqual(["before", ...names]), 20_000);
    expect(relay.hub.stats().readers).toBe(500);
    for (const socket of sockets) socket.terminate();
  }, 120_000);
});
