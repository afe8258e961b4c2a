// A live page on a plain http.Server: node http.ts, then open http://localhost:3000
import { createReadStream } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { attachWebSocket } from "tidings/adapters/node";
import { nodePolling } from "tidings/adapters/polling";
import { nodeSse } from "tidings/adapters/sse";

const [log, bus] = [memoryLog(), memoryBus()];
const publisher = createPublisher({ log, bus });
const hub = createHub({ log, bus });
const [sse, polling] = [nodeSse(hub), nodePolling(hub)]; // for readers where WebSockets are blocked
const posts: string[] = []; // your own content, wherever you keep it

async function site(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === "/tidings.js") {
    response.setHeader("Content-Type", "text/javascript");
    createReadStream(new URL(import.meta.resolve("tidings/assets/tidings.js"))).pipe(response);
  } else if (request.method === "POST") {
    const content = (await text(request)).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
    posts.push(content);
    await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
    response.end();
  } else {
    const [cursor] = await log.heads(["news"]); // first the cursor, then the content
    const items = posts.map(
      (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
    );
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(`<!doctype html><title>News</title><h1>News</h1>
      <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
      <script src="/tidings.js"></script><script>tidings.connect()</script>`);
  }
}

const server = createServer((request, response) =>
  sse(request, response, () => polling(request, response, () => site(request, response))),
);
attachWebSocket(server, hub);
server.listen(process.env.PORT ?? 3000);
