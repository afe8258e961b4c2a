/** What crossws.test.ts runs on Bun. */
import { crosswsWebSocket } from "../../src/adapters/crossws.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import type { RunnerThatSkips } from "../../src/testing/site.ts";
import { type BunServer, LEFT_OUT_ON_BUN, serveOnBun, tell } from "../support/tell.ts";

export function crosswsOnBun(runner: RunnerThatSkips): void {
  adapterSuite(runner, {
    skip: LEFT_OUT_ON_BUN,
    async start(hub) {
      const { default: bunAdapter } = await import("crossws/adapters/bun");
      const addresses = new WeakMap<Request, string | undefined>();
      const hooks = crosswsWebSocket(hub, { addressOf: (request) => addresses.get(request) });
      const ws = bunAdapter({ hooks });
      return serveOnBun({
        async fetch(request: Request, server: BunServer) {
          addresses.set(request, server.requestIP(request)?.address);
          return ws.handleUpgrade(request, server as never);
        },
        websocket: { ...ws.websocket, maxPayloadLength: 4096 },
      });
    },
  });
}

if ("Bun" in globalThis) await tell(crosswsOnBun);
