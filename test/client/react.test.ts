import { fileURLToPath } from "node:url";
import type { Browser, Page as Tab } from "playwright-core";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { afterAll, afterEach, beforeAll, beforeEach, expect, expectTypeOf, test } from "vitest";
import { attachWebSocket } from "../../src/adapters/node.ts";
import type { LivePageOptions } from "../../src/client/react.ts";
import { launchBrowser } from "../support/browser.ts";
import { type OwnSite, startOwnSite } from "../support/own-site.ts";
import { bundleReact } from "../support/react-bundle.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";
import { App, type AppOptions, type AppWindow } from "./react-app.tsx";

let browser: Browser;
let site: OwnSite;
let server: TestServer;
let tab: Tab;
let complaints: string[];
let channel: string;
let count = 0;

beforeAll(async () => {
  let script: string;
  [browser, site, server, script] = await Promise.all([
    launchBrowser(),
    startOwnSite(),
    startTestServer(),
    bundleReact(fileURLToPath(new URL("react-app.tsx", import.meta.url))),
  ]);
  site.files.set("/app.js", script);
  attachWebSocket(site.server, server.hub);
});
afterAll(async () => {
  await browser.close();
  await server.close();
  await site.close();
});
beforeEach(async () => {
  tab = await browser.newPage();
  complaints = [];
  tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  tab.on("pageerror", (error) => complaints.push(error.message));
  channel = await newPage("first");
});
afterEach(() => tab.close());

async function newPage(...posts: string[]): Promise<string> {
  const channelId = `page-${++count}`;
  await server.api("POST", "/api/pages", { channelId, title: channelId });
  for (const value of posts) await post(value, channelId);
  return channelId;
}

async function post(value: string, channelId = channel): Promise<string> {
  const { json } = await server.api("POST", `/api/pages/${channelId}/posts`, text(value));
  return `/api/pages/${channelId}/posts/${json.id}`;
}

/** The list of posts that the server renders. */
async function listOf(channelId: string): Promise<string> {
  const page = await (await fetch(`${server.url}/live/${channelId}/`)).text();
  return /<div id="live-posts"[\s\S]*?<\/div>\n<\/div>/.exec(page)![0];
}

/** Opens the application: rendered on the server, or by the browser alone. */
async function open(options: AppOptions, isRendered = true): Promise<void> {
  const rendered = isRendered ? renderToString(createElement(App, { initial: options })) : "";
  site.files.set(
    "/",
    `<!doctype html><meta charset="utf-8"><div id="root">${rendered}</div>
<script>options = ${JSON.stringify(options).replaceAll("<", "\\u003c")}</script><script src="/app.js"></script>`,
  );
  await tab.goto(site.url);
}

const change = (changes: Partial<AppOptions>) =>
  tab.evaluate((changes) => (window as unknown as AppWindow).change(changes), changes);
const shown = () =>
  tab.locator("#root .live-post-wrapper:not([hidden]) .live-post-content").allTextContents();
const shows = (...texts: string[]) => expect.poll(shown, { timeout: 10_000 }).toEqual(texts);
const stateIs = (state: string) =>
  expect.poll(() => tab.locator("#state").textContent(), { timeout: 10_000 }).toBe(state);
const readers = (n: number) => expect.poll(() => server.hub.stats().readers).toBe(n);

test.each([
  ["rendered on the server", true],
  ["rendered in the browser", false],
])("a page %s is followed over one connection, in StrictMode too", async (_name, isRendered) => {
  await open({ html: await listOf(channel) }, isRendered);
  await stateIs("live");
  const second = await post("second");
  await shows("second", "first");
  await server.api("PATCH", second, text("edited"));
  await shows("edited", "first");
  await server.api("DELETE", second);
  await shows("first");
  await readers(1);
  expect(complaints).toEqual([]);
});

test("React renders anew, also with another HTML of the page, and leaves the posts alone", async () => {
  const html = await listOf(channel);
  await open({ html, label: "before" });
  await stateIs("live");
  await post("second");
  await shows("second", "first");
  await tab.evaluate("first = document.querySelector('.live-post-wrapper')");
  await change({ label: "after" });
  await tab.locator("h2", { hasText: "after" }).waitFor();
  expect(await shown()).toEqual(["second", "first"]);
  // Older than what is shown, and newer: neither counts.
  for (const [label, other] of [
    ["older", html.replace("first", "of old")],
    ["newer", await listOf(channel)],
  ] as const) {
    await change({ html: other, label });
    await tab.locator("h2", { hasText: label }).waitFor();
    expect(await shown()).toEqual(["second", "first"]);
  }
  expect(await tab.evaluate("first === document.querySelector('.live-post-wrapper')")).toBe(true);
  // React 19.0 sets the HTML again for another object, also with the same HTML in it.
  expect(await tab.evaluate("given.size")).toBe(1);
  await post("third");
  await shows("third", "second", "first");
  await readers(1);
  expect(await tab.evaluate("told")).toEqual(["before: 1", "newer: 1"]);
  expect(complaints).toEqual([]);
});

test("the HTML of another page takes its place, and is followed instead", async () => {
  const other = await newPage("of the other");
  await open({ html: await listOf(channel) });
  await stateIs("live");
  await change({ html: await listOf(other) });
  await shows("of the other");
  await post("second");
  await post("more", other);
  await shows("more", "of the other");
  await stateIs("live");
  await readers(1);
  expect(complaints).toEqual([]);
});

test("it leaves with its component, and catches up when that is back", async () => {
  await open({ html: await listOf(channel) });
  await stateIs("live");
  await post("second");
  await shows("second", "first");
  await change({ isShown: false });
  await readers(0);
  await post("third");
  await change({ isShown: true });
  await shows("third", "second", "first");
  await readers(1);
  await tab.evaluate("root.unmount()");
  await readers(0);
  expect(complaints).toEqual([]);
});

test("it leaves with the element of its list, and catches up when that is back", async () => {
  await open({ html: await listOf(channel), isOpen: false });
  await readers(0);
  await post("second");
  await change({ isOpen: true });
  await shows("second", "first");
  await stateIs("live");
  await change({ isOpen: false });
  await readers(0);
  await stateIs("connecting");
  expect(complaints).toEqual([]);
});

test("another server is connected to when url says so", async () => {
  const elsewhere = await startOwnSite();
  let readers = 0;
  const detach = attachWebSocket(elsewhere.server, server.hub);
  elsewhere.server.on("upgrade", () => readers++);
  try {
    await open({ html: await listOf(channel) });
    await stateIs("live");
    await change({ url: elsewhere.url });
    await expect.poll(() => readers).toBeGreaterThan(0);
  } finally {
    detach();
    await elsewhere.close();
  }
});

test("the HTML alone says which page it is", () => {
  // An option could say another, or change without the HTML.
  expectTypeOf<LivePageOptions>().not.toHaveProperty("channelId");
});

test.each([
  ["a list of posts", "<p>No list</p>"],
  ["its channel id", '<div id="live-posts"></div>'],
])("HTML without %s is an error that says so", async (_what, html) => {
  await open({ html });
  await expect
    .poll(() => complaints.join())
    .toContain("[tidings] [client] useLivePage: html has no list of posts with a data-channel-id");
});
