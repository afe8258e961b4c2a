import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { PusherPublisher } from "../../src/publishers/pusher.ts";
import { launchBrowser } from "../support/browser.ts";
import { startHostedService } from "../support/hosted-service.ts";
import { startOwnSite } from "../support/own-site.ts";
import { startTestServer, text } from "../support/server.ts";

it("the tags of the documents make a page live, with the script that the server has for it", async () => {
  const [browser, site, service] = await Promise.all([launchBrowser(), startOwnSite(), startHostedService()]);
  const publisher = new PusherPublisher({ url: service.pusherUrl });
  const server = await startTestServer({ origins: ["own", site.url], publisher });
  try {
    const tags = (await readFile(new URL("../../examples/hosted.html", import.meta.url), "utf8"))
      .replaceAll("https://live.example", server.url)
      .replace("ws-eu.pusher.com", `ws://${service.host}`);
    const { json: head } = await server.api("GET", "/api/channels/welcome");
    const list = `<div id="live-posts" data-channel-id="welcome" data-cursor="${head.cursor}"></div>`;
    site.files.set("/", `<!doctype html><meta charset="utf-8">${list}${tags}`);
    const tab = await browser.newPage();
    await tab.goto(site.url);
    await expect.poll(() => service.readers("welcome").length).toBe(1);
    await server.api("POST", "/api/pages/welcome/posts", text("Goal!"));
    await tab.locator(".live-post").getByText("Goal!").waitFor();
  } finally {
    await browser.close();
    await server.close();
    await Promise.all([service.close(), site.close()]);
  }
});
