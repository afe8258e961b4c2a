/** What polling.test.ts runs on Bun. */
import { fetchPolling } from "../../src/adapters/polling.ts";
import { pollingSuite } from "../../src/testing/polling-suite.ts";
import type { RunnerThatSkips } from "../../src/testing/site.ts";
import { onBunServer } from "../support/request-servers.ts";
import { tell } from "../support/tell.ts";

export function pollingOnBun(runner: RunnerThatSkips): void {
  pollingSuite(runner, { start: (hub) => onBunServer(fetchPolling(hub)) });
}

if ("Bun" in globalThis) await tell(pollingOnBun);
