import { readFile } from "node:fs/promises";
import type { Browser, Page as Tab } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { LivePageElement } from "../../src/client/live-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { middlebox } from "../support/middlebox.ts";
import { type OwnSite, startOwnSite } from "../support/own-site.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let browser: Browser;
let site: OwnSite;
let server: TestServer;

beforeAll(async () => {
  [browser, site] = await Promise.all([launchBrowser(), startOwnSite()]);
  server = await startTestServer({ origins: ["own", site.url] });
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await site?.close();
});

const stateIn = (tab: Tab) => () =>
  tab.locator("live-page").evaluate((element: LivePageElement) => element.state);

it("a page of another site shows what is posted, with the script that the server has for it", async () => {
  const html = await readFile(new URL("../../examples/embed.html", import.meta.url), "utf8");
  site.files.set("/", html.replaceAll("https://live.example", server.url));
  const tab = await browser.newPage();
  await tab.goto(site.url);
  await expect.poll(stateIn(tab), { timeout: 10_000 }).toBe("live");
  await server.api("POST", "/api/pages/welcome/posts", text("Goal!"));
  await tab.locator("live-page .live-post").getByText("Goal!").waitFor();
  expect(await tab.getByText("Follow it live").count()).toBe(0);
});

it.for([
  ["sse", ["ws"]],
  ["updates", ["ws", "sse"]],
] as const)("by %s where a network on the way blocks %s", async ([way, blocked]) => {
  const box = await middlebox(server.url);
  for (const kind of blocked) box.obstruct(kind, "refused");
  const html = await readFile(new URL("../../examples/embed.html", import.meta.url), "utf8");
  site.files.set("/", html.replaceAll("https://live.example", box.url));
  const tab = await browser.newPage();
  try {
    await tab.goto(site.url);
    await expect.poll(stateIn(tab), { timeout: 20_000 }).toBe("live");
    await server.api("POST", "/api/pages/welcome/posts", text(`By ${way}`));
    await tab.locator("live-page .live-post").getByText(`By ${way}`).waitFor();
    expect(box.asked("ws")).toBeGreaterThan(0);
    expect(box.asked(way)).toBeGreaterThan(0);
  } finally {
    await tab.close();
    await box.close();
  }
});
