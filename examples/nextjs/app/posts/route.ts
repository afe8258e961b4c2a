export async function POST(request: Request) {
  const content = (await request.text()).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  news.posts.push(content);
  await news.publisher.publish("news", { [`post-${news.posts.length}`]: { show: true, content } });
  return new Response(null, { status: 204 });
}
