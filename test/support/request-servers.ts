/** The servers that handlers of plain HTTP run on, as the suites take them. */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { getConnInfo } from "@hono/node-server/conninfo";
import type { FetchHandler } from "../../src/adapters/sse.ts";
import type { Started } from "../../src/testing/site.ts";
import { type BunServer, serveOnBun } from "./tell.ts";

/** Node's own server. */
export async function onNode(listener: RequestListener): Promise<Started> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const notHere = () => new Response("no such path", { status: 404 });

/** Fetch on Node, as Hono serves it. */
export async function onHono(handle: FetchHandler): Promise<Started> {
  const server = serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request, env) {
      const { address } = getConnInfo({ env } as never).remote;
      return (await handle(request, address ? { address } : {})) ?? notHere();
    },
  });
  if (!server.listening) await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      if ("closeAllConnections" in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Fetch on Bun. */
export async function onBunServer(handle: FetchHandler): Promise<Started> {
  const { url, close } = serveOnBun({
    idleTimeout: 60,
    async fetch(request: Request, server: BunServer) {
      const address = server.requestIP(request)?.address;
      return (await handle(request, address ? { address } : {})) ?? notHere();
    },
  });
  return { url: url.replace("ws:", "http:"), close };
}
