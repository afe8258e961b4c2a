// A live page on Fastify: node fastify.ts, then open http://localhost:3000
import { createReadStream } from "node:fs";
import { fastify } from "fastify";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { fastifyWebSocket } from "tidings/adapters/fastify";
import { nodePolling } from "tidings/adapters/polling";
import { nodeSse } from "tidings/adapters/sse";

const [log, bus] = [memoryLog(), memoryBus()];
const publisher = createPublisher({ log, bus });
const posts: string[] = []; // your own content, wherever you keep it

const app = fastify();
const hub = createHub({ log, bus });
app.register(fastifyWebSocket, { hub });
const handlers = { sse: nodeSse(hub), updates: nodePolling(hub) }; // where WebSockets are blocked
for (const [kind, handle] of Object.entries(handlers)) {
  app.get(`/${kind}/channel/:id/`, (request, reply) => {
    reply.hijack();
    handle(request.raw, reply.raw);
  });
}

app.get("/", async (_request, reply) => {
  const [cursor] = await log.heads(["news"]); // first the cursor, then the content
  const items = posts.map(
    (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
  );
  return reply.type("text/html").send(`<!doctype html><title>News</title><h1>News</h1>
    <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
    <script src="/tidings.js"></script><script>tidings.connect()</script>`);
});

app.post<{ Body: string }>("/", async (request, reply) => {
  const content = request.body.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  posts.push(content);
  await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
  return reply.code(204).send();
});

app.get("/tidings.js", (_request, reply) =>
  reply
    .type("text/javascript")
    .send(createReadStream(new URL(import.meta.resolve("tidings/assets/tidings.js")))),
);

await app.listen({ port: Number(process.env.PORT ?? 3000) });
