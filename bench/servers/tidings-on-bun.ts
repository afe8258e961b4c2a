/** Tidings on Bun, with all that it promises. */
import { bunWebSocket } from "../../src/adapters/bun.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { channelOf } from "./http.ts";
import { serveOnBun } from "./runtime.ts";
import { publishWith } from "./updates.ts";

const [log, bus] = [memoryLog(), memoryBus()];
const publish = publishWith(createPublisher({ log, bus }));
const hub = createHub({ log, bus });
setInterval(() => hub.stats(), 1_000);
serveOnBun(
  bunWebSocket(hub, {
    async fetch(request) {
      await publish(channelOf(new URL(request.url).pathname), Buffer.from(await request.arrayBuffer()));
      return new Response(null, { status: 204 });
    },
  }),
);
