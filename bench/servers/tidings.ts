/**
 * Tidings on Node, with all that it promises: cursors, a log, readers that are slow, counts that are looked at every
 * second. `LOG` names an SQLite file; without it, the log is in memory.
 *
 * `POST /prepare` with `{ pages, posts, edits }` makes so many other pages with a post each, and so many posts and then
 * edits on the page `live`.
 */
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { attachWebSocket } from "../../src/adapters/node.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { sqliteLog } from "../../src/logs/sqlite.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { listen } from "./http.ts";
import { prepare, publishWith } from "./updates.ts";

const log = process.env.LOG ? sqliteLog({ path: process.env.LOG }) : memoryLog();
const bus = memoryBus();
const publisher = createPublisher({ log, bus });
const hub = createHub({ log, bus });
const server = createServer(async (request, response) => {
  if (request.url === "/prepare") {
    await prepare(publisher, (await json(request)) as object);
    response.writeHead(204).end();
  } else if (request.url === "/cursor") {
    response.end((await log.heads(["live"]))[0]);
  } else if (request.url === "/stats") {
    response.end(JSON.stringify(hub.stats()));
  }
});
attachWebSocket(server, hub);
setInterval(() => hub.stats(), 1_000);
listen(publishWith(publisher), server);
