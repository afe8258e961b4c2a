// A live page on Express: node express.ts, then open http://localhost:3000
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import express from "express";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { attachWebSocket } from "tidings/adapters/node";
import { nodePolling } from "tidings/adapters/polling";
import { nodeSse } from "tidings/adapters/sse";

const [log, bus] = [memoryLog(), memoryBus()];
const publisher = createPublisher({ log, bus });
const posts: string[] = []; // your own content, wherever you keep it

const app = express();
const hub = createHub({ log, bus });
app.use(nodeSse(hub), nodePolling(hub)); // for readers where WebSockets are blocked

app.get("/", async (_request, response) => {
  const [cursor] = await log.heads(["news"]); // first the cursor, then the content
  const items = posts.map(
    (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
  );
  response.send(`<!doctype html><title>News</title><h1>News</h1>
    <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
    <script src="/tidings.js"></script><script>tidings.connect()</script>`);
});

app.post("/", express.text(), async (request, response) => {
  const content = String(request.body).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  posts.push(content);
  await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
  response.sendStatus(204);
});

app.get("/tidings.js", (_request, response) =>
  response.sendFile(fileURLToPath(import.meta.resolve("tidings/assets/tidings.js"))),
);

const server = createServer(app);
attachWebSocket(server, hub);
server.listen(process.env.PORT ?? 3000);
