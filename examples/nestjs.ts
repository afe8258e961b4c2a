// A live page on NestJS: node nestjs.ts, then open http://localhost:3000
import "reflect-metadata";
import { createReadStream } from "node:fs";
import { Body, Controller, Get, HttpCode, Module, Post, StreamableFile } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { createHub, createPublisher, memoryBus, memoryLog } from "tidings";
import { attachWebSocket } from "tidings/adapters/node";
import { nodePolling } from "tidings/adapters/polling";
import { nodeSse } from "tidings/adapters/sse";

const [log, bus] = [memoryLog(), memoryBus()];
const publisher = createPublisher({ log, bus });
const posts: string[] = []; // your own content, wherever you keep it

class NewsController {
  async page(): Promise<string> {
    const [cursor] = await log.heads(["news"]); // first the cursor, then the content
    const items = posts.map(
      (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
        <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
    );
    return `<!doctype html><title>News</title><h1>News</h1>
      <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
      <script src="/tidings.js"></script><script>tidings.connect()</script>`;
  }
  async post(text: string): Promise<void> {
    const content = text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
    posts.push(content);
    await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
  }
  script(): StreamableFile {
    const file = createReadStream(new URL(import.meta.resolve("tidings/assets/tidings.js")));
    return new StreamableFile(file, { type: "text/javascript" });
  }
}

// Node strips types only, so the decorators are called. Where your build compiles them, write them with an @.
Controller()(NewsController);
on("page", Get());
on("post", Post(), HttpCode(204));
Body()(NewsController.prototype, "post", 0);
on("script", Get("tidings.js"));

class AppModule {}
Module({ controllers: [NewsController] })(AppModule);

const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ["warn", "error"] });
app.useBodyParser("text");
const hub = createHub({ log, bus });
attachWebSocket(app.getHttpServer(), hub);
app.use(nodeSse(hub), nodePolling(hub)); // for readers where WebSockets are blocked
await app.listen(process.env.PORT ?? 3000);

function on(name: keyof NewsController, ...decorators: MethodDecorator[]): void {
  const method = Object.getOwnPropertyDescriptor(NewsController.prototype, name)!;
  for (const decorate of decorators) decorate(NewsController.prototype, name, method);
}
