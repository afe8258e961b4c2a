import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { emptyFolder } from "../support/folder.ts";
import { request, text } from "../support/server.ts";

const CLI = fileURLToPath(new URL("../../src/app/cli.ts", import.meta.url));
const TOKEN = "a token of at least 16".replaceAll(" ", "-");
const POSTS = 500;

let browser: Browser;
let child: ChildProcess;
const folder = emptyFolder();

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  child?.kill("SIGKILL");
  await folder.dispose();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function start(port: number): Promise<void> {
  child = spawn(process.execPath, [CLI, "serve", "--host", "127.0.0.1", "--port", String(port)], {
    cwd: folder.path,
    env: { PATH: process.env.PATH, TIDINGS_TOKEN: TOKEN, TIDINGS_DATA: join(folder.path, "data") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const chunk of child.stdout!) if (String(chunk).includes("Tidings is running")) break;
  child.stdout!.resume();
}

const cursorOf = (tab: Tab) => tab.locator("#live-posts").getAttribute("data-cursor");
const idsOn = (tab: Tab) =>
  tab.locator(".live-post").evaluateAll((posts) => posts.map((post) => (post as HTMLElement).dataset.postId));

it("kill -9 during a stream of posts: every acknowledged one is there, none twice, open pages end up equal", async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const api = (method: string, path: string, body?: unknown, headers = {}) =>
    request(url, method, path, body, { authorization: `Bearer ${TOKEN}`, ...headers });
  await start(port);
  await api("POST", "/api/pages", { channelId: "finals", title: "The finals" });
  const tabs: Tab[] = [];
  for (let n = 0; n < 2; n++) {
    const tab = await browser.newPage();
    await tab.goto(`${url}/live/finals/`);
    await tab.evaluate(() => {
      (globalThis as { opened?: boolean }).opened = true;
    });
    tabs.push(tab);
  }

  const acknowledged = new Map<string, string>();
  let kills = 0;
  let failed = 0;
  let restarting: Promise<void> = Promise.resolve();
  // Several posts are under way at any moment: a kill falls between commit and answer of some of them.
  const queue = Array.from({ length: POSTS }, (_, n) => n);
  const worker = async () => {
    for (let n = queue.shift(); n !== undefined; n = queue.shift()) {
      for (;;) {
        await restarting;
        try {
          const key = { "idempotency-key": `post-${n}` };
          const { status, json } = await api(
            "POST",
            "/api/pages/finals/posts",
            text(`Post number ${n}.`),
            key,
          );
          expect(status).toBe(201);
          const before = acknowledged.get(`${n}`);
          expect(before === undefined || before === json.id).toBe(true);
          acknowledged.set(`${n}`, json.id);
          break;
        } catch (error) {
          if (!(error instanceof TypeError)) throw error; // fetch: the connection broke
          failed++;
        }
      }
      if (acknowledged.size % 120 === 60 && kills < 4 && acknowledged.size > kills * 120) {
        kills++;
        child.kill("SIGKILL");
        restarting = once(child, "exit").then(() => start(port));
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  expect(kills).toBeGreaterThanOrEqual(3);
  expect(failed).toBeGreaterThan(0);

  const stored: { id: string; content: { value: string }[] }[] = [];
  for (let after = ""; ; ) {
    const { json } = await api("GET", `/api/pages/finals/posts?limit=200${after}`);
    stored.push(...json.items);
    if (json.next === null) break;
    after = `&after=${json.next}`;
  }
  expect(new Set(stored.map(({ content }) => content[0]!.value)).size).toBe(POSTS);
  expect(stored).toHaveLength(POSTS);
  expect(new Set(stored.map(({ id }) => id))).toEqual(new Set(acknowledged.values()));

  const { json: channel } = await api("GET", "/api/channels/finals");
  for (const tab of tabs) {
    await expect.poll(() => cursorOf(tab), { timeout: 40_000 }).toBe(channel.cursor);
    expect(await idsOn(tab)).toEqual(stored.map(({ id }) => id));
    expect(await tab.evaluate(() => (globalThis as { opened?: boolean }).opened)).toBe(true);
  }

  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
}, 120_000);
