/** What hono.test.ts runs on Bun. */
import { Hono } from "hono";
import { honoWebSocket } from "../../src/adapters/hono.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import type { RunnerThatSkips } from "../../src/testing/site.ts";
import { LEFT_OUT_ON_BUN, serveOnBun, tell } from "../support/tell.ts";

export function honoOnBun(runner: RunnerThatSkips): void {
  adapterSuite(runner, {
    skip: {
      ...LEFT_OUT_ON_BUN,
      "pings, and pongs that nobody asked for, count as messages do": "Hono does not tell of them",
    },
    async start(hub) {
      const { getConnInfo, upgradeWebSocket, websocket } = await import("hono/bun");
      const app = new Hono();
      app.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket, getConnInfo }));
      return serveOnBun({ fetch: app.fetch, websocket: { ...websocket, maxPayloadLength: 4096 } });
    },
  });
}

if ("Bun" in globalThis) await tell(honoOnBun);
