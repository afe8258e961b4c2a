// A live page on Next.js: npx next build && node server.ts, then open http://localhost:3000
// (While you work on it: node server.ts dev)
import { createServer } from "node:http";
import next from "next";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { attachWebSocket } from "tidings/adapters/node";
import { nodePolling } from "tidings/adapters/polling";
import { nodeSse } from "tidings/adapters/sse";

const [log, bus] = [memoryLog(), memoryBus()];
const hub = createHub({ log, bus });
const shared = { log, publisher: createPublisher({ log, bus }), posts: [] as string[] }; // posts: your own content
declare global {
  var news: typeof shared;
}
globalThis.news = shared; // for app/: Next.js bundles it, and an import would get it another log

const upgrades = createServer(); // where Next.js listens for its own: it ends ours when a page of it has their path
const app = next({ dev: process.argv[2] === "dev", httpServer: upgrades });
const [sse, polling] = [nodeSse(hub), nodePolling(hub)]; // for readers where WebSockets are blocked
await app.prepare();
const server = createServer((request, response) =>
  sse(request, response, () => polling(request, response, () => app.getRequestHandler()(request, response))),
);
server.on("upgrade", (request, ...rest) => {
  if (!request.url?.startsWith("/ws/channel/")) upgrades.emit("upgrade", request, ...rest);
});
attachWebSocket(server, hub);
server.listen(process.env.PORT ?? 3000);
