import { fileURLToPath } from "node:url";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LiveCoverage } from "../../examples/react.tsx";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { createHub, createPublisher, memoryBus, memoryLog } from "../../src/index.ts";
import { launchBrowser } from "../support/browser.ts";
import { type OwnSite, startOwnSite } from "../support/own-site.ts";
import { bundleReact } from "../support/react-bundle.ts";

let site: OwnSite;

beforeAll(async () => {
  site = await startOwnSite();
});
afterAll(() => site.close());

it("the component shows what is published after the server rendered it", async () => {
  const [log, bus] = [memoryLog(), memoryBus()];
  attachWebSocket(site.server, createHub({ log, bus }));
  const [cursor] = await log.heads(["news"]);
  const html = `<div id="live-posts" data-channel-id="news" data-cursor="${cursor}"></div>`;
  const page = renderToString(createElement(LiveCoverage, { html }));
  site.files.set("/app.js", await bundleReact(fileURLToPath(new URL("react-entry.tsx", import.meta.url))));
  site.files.set(
    "/",
    `<!doctype html><div id="root">${page}</div><script>html = ${JSON.stringify(html)}</script><script src="/app.js"></script>`,
  );
  const browser = await launchBrowser();
  try {
    const tab = await browser.newPage();
    await tab.goto(site.url);
    await createPublisher({ log, bus }).publish("news", { one: { show: true, content: "<b>Goal!</b>" } });
    await tab.locator("section .live-post b").getByText("Goal!").waitFor();
    await tab.getByText("Live", { exact: true }).waitFor();
    expect(await tab.locator(".live-post").count()).toBe(1);
  } finally {
    await browser.close();
  }
});
