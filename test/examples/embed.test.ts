import { readFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { LivePageElement } from "../../src/client/live-page.ts";
import { launchBrowser } from "../support/browser.ts";
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

it("a page of another site shows what is posted, with the script that the server has for it", async () => {
  const html = await readFile(new URL("../../examples/embed.html", import.meta.url), "utf8");
  site.files.set("/", html.replaceAll("https://live.example", server.url));
  const tab = await browser.newPage();
  await tab.goto(site.url);
  const state = () => tab.locator("live-page").evaluate((element: LivePageElement) => element.state);
  await expect.poll(state, { timeout: 10_000 }).toBe("live");
  await server.api("POST", "/api/pages/welcome/posts", text("Goal!"));
  await tab.locator("live-page .live-post").getByText("Goal!").waitFor();
  expect(await tab.getByText("Follow it live").count()).toBe(0);
});
