import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { attach, type Socket } from "engine.io";
import { createHub, memoryBus } from "tidings";
import { sqliteStore } from "tidings/pages/sqlite";
import { createPagePublisher } from "tidings/publishers/pages";
import { livePosts } from "tidings/templates";
import { handle } from "./adapter.ts";
import { page } from "./page.ts";
import { sendScript } from "./scripts.ts";

const [store, bus] = [sqliteStore({ path: "posts.db" }), memoryBus()];
const publisher = createPagePublisher({ store, bus });
const hub = createHub({ log: store, bus });
const [isThere] = await store.hasPages(["welcome"]);
if (!isThere) await publisher.createPage({ channelId: "welcome", title: "Live" });

const server = createServer(async (request, response) => {
  if (sendScript(request.url, response)) return;
  if (request.method === "POST") {
    await publisher.createPost("welcome", { content: [{ type: "text", value: await text(request) }] });
    response.end();
  } else {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page(livePosts(await store.viewPage("welcome"))));
  }
});

const engine = attach(server, { maxHttpBufferSize: 4096 });
engine.on("connection", (socket: Socket) => handle(hub, socket));
server.listen(process.env.PORT ?? 3000);
