/** What sse.test.ts runs on Bun. */
import { fetchSse } from "../../src/adapters/sse.ts";
import type { RunnerThatSkips } from "../../src/testing/site.ts";
import { sseSuite } from "../../src/testing/sse-suite.ts";
import { onBunServer } from "../support/request-servers.ts";
import { tell } from "../support/tell.ts";

export function sseOnBun(runner: RunnerThatSkips): void {
  sseSuite(runner, { start: (hub) => onBunServer(fetchSse(hub)) });
}

if ("Bun" in globalThis) await tell(sseOnBun);
