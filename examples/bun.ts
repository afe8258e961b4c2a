// A live page on Bun: bun bun.ts, then open http://localhost:3000
import { readFile } from "node:fs/promises";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { type BunServer, bunWebSocket } from "tidings/adapters/bun";
import { fetchPolling } from "tidings/adapters/polling";
import { fetchSse } from "tidings/adapters/sse";

const [log, bus] = [memoryLog(), memoryBus()];
const publisher = createPublisher({ log, bus });
const hub = createHub({ log, bus });
const [sse, polling] = [fetchSse(hub), fetchPolling(hub)]; // for readers where WebSockets are blocked
const posts: string[] = []; // your own content, wherever you keep it

async function fetch(request: Request, server: BunServer): Promise<Response> {
  const from = { address: server.requestIP(request)?.address ?? "" };
  const answer = (await sse(request, from)) ?? (await polling(request, from));
  if (answer) return answer;
  if (new URL(request.url).pathname === "/tidings.js") {
    const client = await readFile(new URL(import.meta.resolve("tidings/assets/tidings.js")));
    return new Response(client, { headers: { "Content-Type": "text/javascript" } });
  }
  if (request.method === "POST") {
    const content = (await request.text()).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
    posts.push(content);
    await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
    return new Response(null, { status: 204 });
  }
  const [cursor] = await log.heads(["news"]); // first the cursor, then the content
  const items = posts.map(
    (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
  );
  const page = `<!doctype html><title>News</title><h1>News</h1>
    <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
    <script src="/tidings.js"></script><script>tidings.connect()</script>`;
  return new Response(page, { headers: { "Content-Type": "text/html; charset=utf-8" } });
}

// Bun serves what is exported: these are the options of Bun.serve
export default {
  port: process.env.PORT ?? 3000,
  idleTimeout: 60, // seconds: a stream of events may be silent for half of it
  ...bunWebSocket(hub, { fetch }),
};
