/** The reader page on real parts: store, hub, sockets, templates, and the script and style as Vite builds them. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build, type Rolldown } from "vite";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { FRAME_ORIGINS } from "../../src/pages/embeds.ts";
import { sqliteStore } from "../../src/pages/sqlite.ts";
import type { PageStore } from "../../src/pages/store.ts";
import { createPagePublisher, type PagePublisher } from "../../src/publishers/pages.ts";
import { indexPage, notFoundPage, readerPage } from "../../src/templates/index.ts";

export interface ReaderSite {
  readonly url: string;
  readonly store: PageStore;
  readonly pages: PagePublisher;
  /** Stops listening and cuts off all readers, as a crash does. `listen` brings it back on the same port. */
  crash(): Promise<void>;
  listen(): Promise<void>;
  close(): Promise<void>;
}

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' https:",
  `frame-src ${FRAME_ORIGINS.join(" ")}`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const source = (name: string): string => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));

/** A module of ours as a browser takes it. */
export async function bundle(name: string, format: "es" | "iife" = "es"): Promise<string> {
  const output = (await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, rolldownOptions: { input: source(name), output: { format } } },
  })) as Rolldown.RolldownOutput;
  return output.output[0].code;
}

export async function startReaderSite(): Promise<ReaderSite> {
  const script = await bundle("app/reader/reader.ts");
  const style = await readFile(source("app/reader/reader.css"));
  const store = sqliteStore({ path: ":memory:" });
  const bus = memoryBus();
  const pages = createPagePublisher({ store, bus });
  const hub = createHub({ log: store, bus });

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url!, "http://site");
    const send = (status: number, type: string, body: string | Buffer) =>
      response.writeHead(status, { "Content-Type": type, "Content-Security-Policy": CSP }).end(body);
    const channelId = /^\/live\/([^/]+)\/$/.exec(pathname)?.[1];
    if (pathname === "/assets/reader.js") return send(200, "text/javascript", script);
    if (pathname === "/assets/reader.css") return send(200, "text/css", style);
    if (pathname === "/") return send(200, "text/html", indexPage((await store.listPages()).items));
    if (channelId === undefined) return send(404, "text/html", notFoundPage());
    const view = await store.viewPage(decodeURIComponent(channelId));
    send(200, "text/html", readerPage(view, { publicUrl: "https://live.example.com" }));
  });
  const detach = attachWebSocket(server, hub);
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  let port = 0;

  async function listen(): Promise<void> {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  }

  async function crash(): Promise<void> {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  await listen();
  return {
    url: `http://127.0.0.1:${port}`,
    store,
    pages,
    listen,
    crash,
    async close() {
      detach();
      await crash();
      await hub.close();
      await bus.close();
      await store.close();
    },
  };
}
