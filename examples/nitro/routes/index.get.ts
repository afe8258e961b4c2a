import { defineEventHandler } from "h3";
import { log, posts } from "../utils/news.ts";

export default defineEventHandler(async () => {
  const [cursor] = await log.heads(["news"]); // first the cursor, then the content
  const items = posts.map(
    (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
  );
  return `<!doctype html><title>News</title><h1>News</h1>
    <div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>
    <script src="/tidings.js"></script><script>tidings.connect()</script>`;
});
