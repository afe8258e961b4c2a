/** From the publisher to the screen, in a real browser. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Page } from "playwright-core";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher, type Publisher } from "../../src/publishers/publisher.ts";
import { launchBrowser } from "../../test/support/browser.ts";
import type { Extent, Section } from "../section.ts";
import { quantile, seeded } from "../stats.ts";

const POSTS = 100;
const MANY = 1_000;
const SCRIPT = new URL("../../dist/assets/tidings.js", import.meta.url);

/** Stamps each post when the frame with it has been painted; times what the client does with each message. */
const STAMPS = `
  window.painted = []; window.handled = [];
  const now = () => performance.timeOrigin + performance.now();
  new MutationObserver((records) => {
    for (const post of document.querySelectorAll("[data-sent]")) {
      const sent = Number(post.dataset.sent);
      post.removeAttribute("data-sent");
      requestAnimationFrame(() => {
        // What is asked for in a frame's callback comes after that frame was painted.
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => painted.push(now() - sent);
        port2.postMessage(0);
      });
    }
  }).observe(document.getElementById("live-posts"), { childList: true, subtree: true });
  const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
  Object.defineProperty(WebSocket.prototype, "onmessage", {
    set(handle) {
      set.call(this, (event) => {
        const begun = performance.now();
        handle.call(this, event);
        handled.push(performance.now() - begun);
      });
    },
  });
  const begun = performance.now();`;

const pageAt = (cursor: string) => `<!doctype html><title>Bench</title>
  <div id="live-posts" data-channel-id="live" data-cursor="${cursor}"></div>
  <script>${STAMPS}</script>
  <script src="/tidings.js"></script>
  <script>window.evaluated = performance.now() - begun; window.live = tidings.connect();</script>`;

declare const painted: number[];
declare const handled: number[];
declare const evaluated: number;
declare const live: { readonly state: string };

export async function painting({ turns, tell }: Extent): Promise<Section> {
  const [log, bus] = [memoryLog(), memoryBus()];
  const publisher = createPublisher({ log, bus });
  const hub = createHub({ log, bus });
  const [start] = await log.heads(["live"]);
  const server = createServer(async (request, response) => {
    if (request.url === "/tidings.js") return void response.end(readFileSync(SCRIPT));
    const cursor = request.url === "/from-the-start" ? start! : (await log.heads(["live"]))[0]!;
    response.setHeader("Content-Type", "text/html").end(pageAt(cursor));
  }).listen(0, "127.0.0.1");
  const detach = attachWebSocket(server, hub);
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const paints: number[][] = [];
  const [scripts, catchUps]: [number[], number[]] = [[], []];
  const browser = await launchBrowser();
  try {
    for (let turn = 1; turn <= turns; turn++) {
      tell(`painting, turn ${turn} of ${turns}`);
      const page = await browser.newPage();
      await page.goto(`${url}/`);
      await isLive(page);
      await publishSome(publisher, turn);
      await page.waitForFunction((count) => painted.length >= count, POSTS);
      paints.push(await page.evaluate(() => painted));
      await page.close();
    }
    for (let n = 0; n < MANY; n++) await publisher.publish("live", { [`many-${n}`]: post(String(n)) });
    for (let turn = 1; turn <= turns; turn++) {
      const page = await browser.newPage();
      await page.goto(`${url}/from-the-start`);
      await page.waitForFunction((count) => document.querySelectorAll(".live-post").length >= count, MANY);
      scripts.push(await page.evaluate(() => evaluated));
      catchUps.push(await page.evaluate(() => handled.reduce((a, b) => a + b)));
      await page.close();
    }
  } finally {
    await browser.close();
    await hub.close({ drainMs: 0 });
    detach();
    server.closeAllConnections();
    server.close();
  }
  return {
    id: "painted",
    title: "In the reader's browser",
    about:
      `Chromium, headless. Milliseconds from \`publish\` until the post is painted (a screen of 60 Hz adds 8 ms on average, which this one, that nobody sees, does not), ${POSTS} posts a turn, p99 of the ${POSTS * turns} of all turns together; ` +
      `to load and evaluate the client's script; and to take a catch-up of ${MANY.toLocaleString("en")} posts: parsed and applied, without layout.`,
    columns: [
      { name: "painted, p50", digits: 1 },
      { name: "painted, p99", digits: 1 },
      { name: "script", digits: 1 },
      { name: `${MANY.toLocaleString("en")} posts`, digits: 1 },
    ],
    rows: [
      {
        id: "chromium",
        name: "Chromium",
        cells: [
          paints.map((ofTurn) => quantile(ofTurn, 0.5)),
          [quantile(paints.flat(), 0.99)],
          scripts,
          catchUps,
        ],
      },
    ],
  };
}

const isLive = (page: Page) => page.waitForFunction(() => live.state === "live");

/** At moments that have nothing to do with the browser's frames. */
async function publishSome(publisher: Publisher, turn: number): Promise<void> {
  const random = seeded(turn);
  for (let n = 0; n < POSTS; n++) {
    await wait(50 + random() * 50);
    const sent = performance.timeOrigin + performance.now();
    await publisher.publish("live", { [`painted-${turn}-${n}`]: post(String(n), `data-sent="${sent}"`) });
  }
}

function post(text: string, attributes = ""): { show: true; content: string } {
  const content = `<article class="live-post" ${attributes}><p>${`Post ${text} of the day. `.repeat(40)}</p></article>`;
  return { show: true, content };
}
