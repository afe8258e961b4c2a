// A live page on Hono: node hono.ts, then open http://localhost:3000
import { readFile } from "node:fs/promises";
import { serve, upgradeWebSocket, type WebSocketServerLike } from "@hono/node-server";
import { getConnInfo } from "@hono/node-server/conninfo";
import { Hono } from "hono";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { honoWebSocket } from "tidings/adapters/hono";
import { fetchPolling } from "tidings/adapters/polling";
import { fetchSse } from "tidings/adapters/sse";
import { WebSocketServer } from "ws";

const [log, bus] = [memoryLog(), memoryBus()];
const publisher = createPublisher({ log, bus });
const posts: string[] = []; // your own content, wherever you keep it

const app = new Hono();
const hub = createHub({ log, bus });
app.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket, getConnInfo }));

const [sse, polling] = [fetchSse(hub), fetchPolling(hub)]; // for readers where WebSockets are blocked
app.use(async (c, next) => {
  const from = { address: getConnInfo(c).remote.address ?? "" };
  return (await sse(c.req.raw, from)) ?? (await polling(c.req.raw, from)) ?? next();
});

app.get("/", async (c) => {
  const [cursor] = await log.heads(["news"]); // first the cursor, then the content
  const items = posts.map(
    (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
  );
  return c.html(`<!doctype html><title>News</title><h1>News</h1>
    <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
    <script src="/tidings.js"></script><script>tidings.connect()</script>`);
});

app.post("/", async (c) => {
  const content = (await c.req.text()).replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
  posts.push(content);
  await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
  return c.body(null, 204);
});

const client = await readFile(new URL(import.meta.resolve("tidings/assets/tidings.js")), "utf8");
app.get("/tidings.js", (c) => c.body(client, 200, { "Content-Type": "text/javascript" }));

const server = new WebSocketServer({ noServer: true, maxPayload: 4096 }) as WebSocketServerLike;
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), websocket: { server } });
