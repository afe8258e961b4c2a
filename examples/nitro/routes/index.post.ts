import { defineEventHandler, readRawBody } from "h3";
import { posts, publisher } from "../utils/news.ts";

export default defineEventHandler(async (event) => {
  const text = (await readRawBody(event)) ?? "";
  const content = text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  posts.push(content);
  await publisher.publish("news", { [`post-${posts.length}`]: { show: true, content } });
  return null; // 204
});
