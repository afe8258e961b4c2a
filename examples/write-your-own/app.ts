import { createServer } from "node:http";
import { attach } from "engine.io";
import { bus } from "./bus.ts";
import { handle } from "./handler.ts";
import { page } from "./page.ts";
import { sendScript } from "./scripts.ts";

const server = createServer((request, response) => {
  if (sendScript(request.url, response)) return;
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(page(`<div id="live-posts" data-channel-id="welcome"></div>`));
});

attach(server, { maxHttpBufferSize: 4096 }).on("connection", handle);
server.listen(process.env.PORT ?? 3000);
await bus.run(); // runs the event bus for ever
