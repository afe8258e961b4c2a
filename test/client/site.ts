/**
 * A site that the tests script: real HTTP and real sockets, speaking PROTOCOL.md's frames at the test's command.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { type WebSocket, WebSocketServer } from "ws";

/** A post as the tests write it. */
export interface SitePost {
  readonly id: string;
  readonly at?: number;
  readonly html?: string;
  readonly show?: boolean;
}

/** A reader's connection, on the server's side. */
export interface Peer {
  /** Path and query. */
  readonly url: string;
  readonly cursor: string | null;
  readonly socket: WebSocket;
  /** An object is sent as JSON, with the keys that every frame has; a string as it is. */
  send(frame: object | string): void;
  readonly closed: Promise<unknown>;
}

export interface Site {
  readonly host: string;
  /** What `/` answers; may be replaced at any time. */
  page: (url: URL) => Promise<string | number> | string | number;
  /** The URLs asked for with `?at=`. */
  readonly resyncs: URL[];
  /** Answer the next sockets with this status instead of letting them in; 0 lets them in. */
  refuse: number;
  /** The sockets refused so far. */
  refused: number;
  /** The next reader's connection not yet handed out. */
  peer(): Promise<Peer>;
  /** Connections made and not handed out by `peer()`. */
  readonly waiting: number;
  close(): Promise<void>;
}

/** The client as the browser gets it. */
export async function bundle(source = "global.ts"): Promise<string> {
  const output = (await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      rolldownOptions: {
        input: fileURLToPath(new URL(`../../src/client/${source}`, import.meta.url)),
        output: { format: "iife" },
      },
    },
  })) as Rolldown.RolldownOutput;
  return output.output[0].code;
}

/** A page's HTML. `script` runs after the client is loaded; default: it connects. */
export function html(
  posts: readonly SitePost[],
  options: {
    cursor?: string;
    script?: string;
    head?: string;
    channelId?: string | null;
    before?: string;
  } = {},
): string {
  const {
    cursor,
    script = 'live = tidings.connect({ transports: ["websocket"] })',
    head = "",
    channelId = "page",
    before = "",
  } = options;
  const attributes = [
    channelId === null ? "" : ` data-channel-id="${channelId}"`,
    cursor === undefined ? "" : ` data-cursor="${cursor}"`,
  ].join("");
  const list = posts.map(({ id, at, show = true, html = post(id, id) }) => {
    const place = at === undefined ? "" : ` data-at="${at}"`;
    return `<div class="live-post-wrapper"${place}${show ? "" : " hidden"}>${html}</div>`;
  });
  return `<!doctype html><meta charset="utf-8"><title>page</title>${head}${before}
<div id="live-posts"${attributes}>${list.join("\n")}</div>
<script src="/tidings.js"></script><script>${script}</script>`;
}

/** A post's HTML with this text. */
export function post(id: string, text: string): string {
  return `<article class="live-post" data-post-id="${id.replaceAll("&", "&amp;").replaceAll('"', "&quot;")}">${text}</article>`;
}

/** One post as it comes in a frame. */
export function render(id: string, at: number | undefined, text: string = id, show = true): object {
  return { show, content: show ? post(id, text) : post(id, ""), ...(at === undefined ? {} : { at }) };
}

export async function startSite(script: string): Promise<Site> {
  const peers: Peer[] = [];
  const hungry: ((peer: Peer) => void)[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, "http://site");
    if (url.pathname === "/tidings.js") {
      response.setHeader("content-type", "text/javascript").end(script);
    } else if (url.pathname === "/") {
      if (url.searchParams.has("at")) site.resyncs.push(url);
      const answer = await site.page(url);
      response.statusCode = typeof answer === "number" ? answer : 200;
      response.setHeader("content-type", "text/html").end(typeof answer === "number" ? "" : answer);
    } else {
      response.setHeader("content-type", "text/html").end("<!doctype html>elsewhere");
    }
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request: IncomingMessage, socket, head) => {
    if (site.refuse) {
      site.refused++;
      socket.end(`HTTP/1.1 ${site.refuse} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const peer: Peer = {
        url: request.url!,
        cursor: new URL(request.url!, "http://site").searchParams.get("cursor"),
        socket: ws,
        send(frame) {
          ws.send(
            typeof frame === "string" ? frame : JSON.stringify({ renders: {}, removals: [], ...frame }),
          );
        },
        closed: once(ws, "close"),
      };
      const next = hungry.shift();
      if (next) next(peer);
      else peers.push(peer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const site: Site = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    page: () => 404,
    resyncs: [],
    refuse: 0,
    refused: 0,
    peer() {
      const peer = peers.shift();
      return peer ? Promise.resolve(peer) : new Promise((resolve) => hungry.push(resolve));
    },
    get waiting() {
      return peers.length;
    },
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return site;
}

/** A tab whose `Math.random` gives `window.dice` (0.5), and whose errors the test sees in `errors`. */
export async function openTab(
  browser: Browser | BrowserContext,
): Promise<{ page: Page; errors: string[]; close(): Promise<void> }> {
  const context = "newContext" in browser ? await browser.newContext() : browser;
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.addInitScript(() => {
    Object.assign(window, { dice: 0.5 });
    Math.random = () => (window as unknown as { dice: number }).dice;
  });
  return { page, errors, close: () => context.close() };
}

export function setDice(page: Page, value: number): Promise<void> {
  return page.evaluate((dice) => void Object.assign(window, { dice }), value);
}

/** Stops the page's (installed) clock: from here on it goes by `page.clock.runFor` alone. */
export async function stopClock(page: Page): Promise<void> {
  await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 1000);
}

/** Resolves when the page has this cursor, and so all that came before it. */
export async function atCursor(page: Page, cursor: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => document.getElementById("live-posts")?.dataset.cursor === wanted,
    cursor,
  );
}

export async function inState(page: Page, state: string): Promise<void> {
  await page.waitForSelector(`#live-posts[data-live-state="${state}"]`, { state: "attached" });
}

export function stateOf(page: Page): Promise<string | undefined> {
  return page.evaluate(() => document.getElementById("live-posts")?.dataset.liveState);
}

/** The texts of the posts shown, from the top. */
export function shown(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("#live-posts > .live-post-wrapper")]
      .filter((wrapper) => !wrapper.hidden)
      .map((wrapper) => wrapper.textContent?.trim() ?? ""),
  );
}
