import { LivePosts } from "./live-posts";

export const dynamic = "force-dynamic"; // made for each reader, not at build

export default async function News() {
  const [cursor] = await news.log.heads(["news"]); // first the cursor, then the content
  const items = news.posts.map(
    (content, i) => `<div class="live-post-wrapper" data-at="${i + 1}">
      <div class="live-post" data-post-id="post-${i + 1}">${content}</div></div>`,
  );
  const list = `<div id="live-posts" data-channel-id="news" data-cursor="${cursor}">${items.reverse().join("")}</div>`;
  return <LivePosts html={list} />;
}
