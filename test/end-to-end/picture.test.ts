import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const PICTURE = fileURLToPath(new URL("../../docs/reader-and-editor.png", import.meta.url));
const SIZE = { width: 760, height: 620 };

let browser: Browser;
let server: TestServer;

beforeAll(async () => {
  [browser, server] = await Promise.all([launchBrowser(), startTestServer()]);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const POSTS = [
  "The teams are on the pitch. It has stopped raining, and the stands are full: 41,300 tonight.",
  "Kick-off! The home side plays towards the harbour end in the first half.",
  "Close: a header from six metres goes over the bar. The keeper was nowhere.",
  "GOAL! A low shot from the edge of the box, in off the far post. 1–0 after 23 minutes.",
];

/** The picture of README.md: `npm run picture` keeps it. */
it("the reader page and the editor, side by side, fit the README", async () => {
  await server.api("POST", "/api/pages", { channelId: "finals", title: "Cup final: Harbour v Hill" });
  for (const [n, value] of POSTS.entries()) {
    const created = Date.UTC(2026, 4, 30, 18, 52 + n * 9);
    await server.api("POST", "/api/pages/finals/posts", { content: [{ type: "text", value }], created });
  }
  const context = await browser.newContext({ viewport: SIZE, timezoneId: "UTC", locale: "en-GB" });
  const reader = await context.newPage();
  await reader.goto(`${server.url}/live/finals/`);
  await reader.locator("#live-posts[data-live-state=live]").waitFor();
  const editor = await context.newPage();
  await editor.goto(server.greeting.editor);
  await editor.getByText(POSTS[3]!).first().waitFor();
  const shots = [await reader.screenshot(), await editor.screenshot()];

  const both = await browser.newPage({ viewport: { width: 2 * SIZE.width + 48, height: SIZE.height + 32 } });
  const images = shots.map((shot) => `<img src="data:image/png;base64,${shot.toString("base64")}">`);
  await both.setContent(`<style>body { margin: 16px; display: flex; gap: 16px; background: #8a8f98 }
    img { width: ${SIZE.width}px; border-radius: 8px; box-shadow: 0 2px 12px #0006 }</style>${images.join("")}`);
  const picture = await both.screenshot();
  expect(picture.length).toBeLessThan(400_000);
  if (process.env.TIDINGS_TEST_PICTURE === "keep") {
    mkdirSync(fileURLToPath(new URL("../../docs", import.meta.url)), { recursive: true });
    writeFileSync(PICTURE, picture);
  }
});
