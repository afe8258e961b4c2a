import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { launchBrowser } from "../support/browser.ts";
import { runCli } from "../support/cli.ts";
import { cuttable } from "../support/cuttable.ts";
import { request, startTestServer, type TestServer, text } from "../support/server.ts";

let browser: Browser;
let server: TestServer;
let channel: string;
let count = 0;

beforeAll(async () => {
  [browser, server] = await Promise.all([launchBrowser(), startTestServer()]);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  channel = `page-${++count}`;
  await server.api("POST", "/api/pages", { channelId: channel, title: `Page ${count}` });
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
});

// --- the page as a reader sees it, and as the store has it ------------------------------------------------

/** Opens the reader page; a reload would lose the mark that `seen` looks for. */
async function open(base = server.url): Promise<Tab> {
  const tab = await browser.newPage();
  await tab.goto(`${base}/live/${channel}/`);
  await tab.locator("#live-posts[data-live-state=live]").waitFor({ state: "attached" });
  await tab.evaluate(() => {
    (globalThis as { neverReloaded?: boolean }).neverReloaded = true;
  });
  return tab;
}

/** The posts that are seen, top to bottom: id and text. */
async function seen(tab: Tab): Promise<[string, string][]> {
  return tab.evaluate(() => {
    if (!(globalThis as { neverReloaded?: boolean }).neverReloaded) throw new Error("the page was reloaded");
    return [...document.querySelectorAll<HTMLElement>("#live-posts > .live-post-wrapper:not([hidden])")].map(
      (wrapper) => [
        wrapper.querySelector<HTMLElement>(".live-post")!.dataset.postId!,
        wrapper.querySelector<HTMLElement>(".live-post-content")!.textContent.trim(),
      ],
    );
  });
}

/** What the store would show: id and text, newest first. */
async function stored(): Promise<[string, string][]> {
  const posts: { id: string; show: boolean; content: { value: string }[] }[] = [];
  for (let after = ""; ; ) {
    const { json } = await server.api("GET", `/api/pages/${channel}/posts?limit=200${after}`);
    posts.push(...json.items);
    if (json.next === null) break;
    after = `&after=${json.next}`;
  }
  return posts.filter(({ show }) => show).map(({ id, content }) => [id, content[0]!.value]);
}

async function equal(tab: Tab): Promise<void> {
  const { json } = await server.api("GET", `/api/channels/${channel}`);
  const cursor = () => tab.locator("#live-posts").getAttribute("data-cursor");
  await expect.poll(cursor, { timeout: 15_000 }).toBe(json.cursor);
  expect(await seen(tab)).toEqual(await stored());
}

const post = async (value: string, more: object = {}) =>
  (await server.api("POST", `/api/pages/${channel}/posts`, { ...text(value), ...more })).json.id as string;
const patch = (id: string, body: object) => server.api("PATCH", `/api/pages/${channel}/posts/${id}`, body);
const remove = (id: string) => server.api("DELETE", `/api/pages/${channel}/posts/${id}`);

// ----------------------------------------------------------------------------------------------------------

describe("a change appears in an open page, without a reload", () => {
  it("by curl: a post, its edit, its hiding, its showing again in its old place, its deletion", async () => {
    await post("Below");
    const tab = await open();
    const curl = async (method: string, path: string, body?: object) => {
      const { stdout } = await promisify(execFile)("curl", [
        ...["--silent", "--fail-with-body", "--request", method],
        ...["--header", `Authorization: Bearer ${server.token}`],
        ...(body ? ["--header", "Content-Type: application/json", "--data", JSON.stringify(body)] : []),
        `${server.url}/api/pages/${channel}/posts${path}`,
      ]);
      return stdout === "" ? undefined : JSON.parse(stdout);
    };
    const texts = () => seen(tab).then((posts) => posts.map(([, value]) => value));
    const { id } = await curl("POST", "", text("Goal!"));
    await expect.poll(texts).toEqual(["Goal!", "Below"]);
    await post("Above");
    await curl("PATCH", `/${id}`, text("No goal."));
    await expect.poll(texts).toEqual(["Above", "No goal.", "Below"]);
    await curl("PATCH", `/${id}`, { show: false });
    await expect.poll(texts).toEqual(["Above", "Below"]);
    await curl("PATCH", `/${id}`, { show: true });
    await expect.poll(texts).toEqual(["Above", "No goal.", "Below"]);
    await curl("DELETE", `/${id}`);
    await expect.poll(texts).toEqual(["Above", "Below"]);
    await equal(tab);
  });

  it("by tidings post, from its arguments and from standard input", async () => {
    const tab = await open();
    const env = { TIDINGS_URL: server.url, TIDINGS_TOKEN: server.token };
    const first = await runCli(["post", channel, "From", "a", "terminal"], { env });
    expect([first.status, first.stderr]).toEqual([0, ""]);
    await runCli(["post", channel], { env, input: "From a pipe\n" });
    await expect
      .poll(() => seen(tab).then((posts) => posts.map(([, value]) => value)))
      .toEqual(["From a pipe", "From a terminal"]);
    await equal(tab);
  });

  it("on a page with 1,000 posts as on one with 10", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 1_000; n += 50) {
      ids.push(...(await Promise.all(Array.from({ length: 50 }, (_, i) => post(`Post ${n + i}`)))));
    }
    const tab = await open();
    const [oldest, middle] = [ids[3]!, ids[500]!];
    await post("The newest");
    await patch(oldest, text("Edited"));
    await patch(middle, { show: false });
    await remove(ids[700]!);
    await equal(tab);
    await patch(middle, { show: true });
    await equal(tab);
    expect(await seen(tab)).toHaveLength(1_000);
  });
});

describe("a reader who missed something", () => {
  it("opened a stale saved copy of the page: it ends up equal", async () => {
    const ids = [];
    for (let n = 0; n < 8; n++) ids.push(await post(`Post ${n}`));
    const saved = (await request(server.url, "GET", `/live/${channel}/`)).text;
    await post("New");
    await patch(ids[2]!, text("Edited"));
    await patch(ids[4]!, { show: false });
    await remove(ids[6]!);
    const path = `/live/${channel}/`;
    const response = `HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n${saved}`;
    const cache = await cuttable(server.url, { [path]: response });
    const tab = await open(cache.url);
    await equal(tab);
    expect(await tab.content()).not.toContain("Post 6");
    await cache.close();
  });

  it("was cut off for 50 changes: it ends up equal after one update", async () => {
    const network = await cuttable(server.url);
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push(await post(`Post ${n}`));
    const tab = await browser.newPage();
    const frames: string[] = [];
    tab.on("websocket", (socket) =>
      socket.on("framereceived", ({ payload }) => frames.push(String(payload))),
    );
    await tab.goto(`${network.url}/live/${channel}/`);
    await tab.locator("#live-posts[data-live-state=live]").waitFor({ state: "attached" });
    await tab.evaluate(() => {
      (globalThis as { neverReloaded?: boolean }).neverReloaded = true;
    });
    await post("Before the cut");
    await equal(tab);
    expect(frames).toHaveLength(1);

    network.cut();
    await tab.locator("#live-posts:not([data-live-state=live])").waitFor({ state: "attached" });
    for (let n = 0; n < 20; n++) await post(`Missed ${n}`);
    for (let n = 0; n < 20; n++) await patch(ids[n % 3]!, text(`Edit ${n}`));
    await patch(ids[3]!, { show: false });
    for (let n = 0; n < 4; n++) await remove(await post(`Gone ${n}`));
    await remove(ids[4]!);
    network.mend();
    await equal(tab);
    expect(frames).toHaveLength(2);
    const update = JSON.parse(frames[1]!);
    expect(Object.keys(update.renders)).toHaveLength(24);
    await network.close();
  });

  it("was elsewhere while the page was made anew: it shows the new one", async () => {
    await post("Of the old page");
    const tab = await open();
    await server.api("DELETE", `/api/pages/${channel}`);
    await server.api("POST", "/api/pages", { channelId: channel, title: "Anew" });
    await post("Of the new page");
    await equal(tab);
  });
});

it("hidden text is nowhere in what a reader can receive", async () => {
  const SECRET = "xyzzy";
  const start = (await server.api("GET", `/api/channels/${channel}`)).json.cursor;
  const received: string[] = [];
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws/channel/${channel}/`);
  socket.on("message", (data) => received.push(String(data)));
  await new Promise((resolve) => socket.once("open", resolve));
  await post(`${SECRET} from the start`, { show: false });
  const shownFirst = await post("Harmless");
  await patch(shownFirst, { show: false });
  await patch(shownFirst, text(`${SECRET} while hidden`));
  await patch(shownFirst, { show: true, ...text("Harmless again") });
  await patch(shownFirst, { show: false, ...text(`${SECRET} with the hiding`) });
  await server.api("POST", "/api/channels/cms/updates", { renders: { a: { show: false, content: SECRET } } });
  const last = await post("The end");
  await expect.poll(() => received.at(-1)).toContain(last);

  const caughtUp = new WebSocket(
    `${server.url.replace("http", "ws")}/ws/channel/${channel}/?cursor=${start}`,
  );
  caughtUp.on("message", (data) => received.push(`catch-up ${data}`));
  await expect.poll(() => received.at(-1)).toContain("catch-up");
  for (const path of ["/", `/live/${channel}/`, "/healthz", "/readyz", "/editor", "/images/none"]) {
    const { status, text: body, headers } = await request(server.url, "GET", path);
    expect(status).toBeLessThan(500);
    received.push(body, JSON.stringify([...headers]));
  }
  expect(received.join("\n")).toContain("The end");
  expect(received.join("\n")).not.toContain(SECRET);
  const editor = await server.api("GET", `/api/pages/${channel}/posts`);
  expect(editor.text).toContain(SECRET);
  socket.terminate();
  caughtUp.terminate();
});
