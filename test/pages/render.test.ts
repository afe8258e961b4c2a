import { describe, expect, test } from "vitest";
import { embedFrame, FRAME_ORIGINS } from "../../src/pages/embeds.ts";
import type { Block, Post } from "../../src/pages/model.ts";
import { renderPost } from "../../src/pages/render.ts";

const ID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const CREATED = Date.UTC(2026, 10, 24, 14, 5, 30);

function post(content: readonly Block[], rest: Partial<Post> = {}): Post {
  return { id: "7", created: CREATED, modified: CREATED, show: true, at: 1, version: "v", content, ...rest };
}

/** The inside of the post's content. */
function rendered(...content: readonly Block[]): string {
  return /<div class="live-post-content">(.*)<\/div><\/article>$/s.exec(renderPost(post(content)))![1]!;
}

describe("a post", () => {
  test("is one article, with its time in UTC", () => {
    expect(renderPost(post([{ type: "text", value: "Goal!" }]))).toBe(
      '<article class="live-post" data-post-id="7">' +
        '<header class="live-post-meta"><time class="live-post-created" datetime="2026-11-24T14:05:30.000Z">24 Nov 2026, 14:05 UTC</time></header>' +
        '<div class="live-post-content"><div class="post-block post-block-text"><p dir="auto">Goal!</p></div></div>' +
        "</article>",
    );
  });

  test("says that it was edited, and when", () => {
    expect(renderPost(post([{ type: "text", value: "x" }], { modified: CREATED + 3_600_000 }))).toContain(
      '<span class="live-post-edited">Edited <time class="live-post-modified" datetime="2026-11-24T15:05:30.000Z">24 Nov 2026, 15:05 UTC</time></span>',
    );
    expect(renderPost(post([{ type: "text", value: "x" }]))).not.toContain("modified");
  });

  test("is nothing while it is hidden", () => {
    expect(renderPost(post([{ type: "text", value: "secret" }], { show: false }))).toBe("");
  });

  test("may have any id", () => {
    expect(renderPost(post([], { id: `"><b a='&` }))).toContain(
      'data-post-id="&quot;&gt;&lt;b a=&#39;&amp;"',
    );
  });
});

describe("text", () => {
  const text = (value: string) => rendered({ type: "text", value });

  test("is escaped", () => {
    expect(text(`<b>&amp;"'`)).toContain("&lt;b&gt;&amp;amp;&quot;&#39;");
  });

  test("shows its lines and paragraphs", () => {
    expect(text("\n one\ntwo\n \n\n three \n")).toContain(
      '<p dir="auto">one<br>two</p><p dir="auto">three</p>',
    );
  });

  test("links what says that it is a link, and leaves the rest", () => {
    expect(text("See https://example.com/a?b&c, and desk@example.com. We won.It was")).toContain(
      'See <a href="https://example.com/a?b&amp;c" rel="noopener nofollow ugc">https://example.com/a?b&amp;c</a>, and ' +
        '<a href="mailto:desk@example.com" rel="noopener nofollow ugc">desk@example.com</a>. We won.It was',
    );
    expect(text("ftp://example.com //example.com javascript:alert(1) data:text/html,x")).not.toContain("<a");
  });
});

describe("a picture", () => {
  test("that was uploaded is our own, and keeps its room", () => {
    expect(rendered({ type: "image", value: ID, alt: 'A "goal"', width: 1600, height: 900 })).toBe(
      `<figure class="post-block post-block-image"><img src="/images/${ID}" alt="A &quot;goal&quot;" width="1600" height="900" loading="lazy" decoding="async"></figure>`,
    );
  });

  test("may be served elsewhere", () => {
    const html = renderPost(post([{ type: "image", value: ID, alt: "" }]), {
      imageUrl: (id) => `https://cdn.example.com/${id}?a&b`,
    });
    expect(html).toContain(`src="https://cdn.example.com/${ID}?a&amp;b" alt=""`);
  });

  test("of another site is linked to", () => {
    expect(rendered({ type: "image", value: "https://example.com/x.png", alt: "" })).toContain(
      'src="https://example.com/x.png" alt="" loading="lazy"',
    );
  });
});

describe("an embed", () => {
  const src = (url: string) => /src="([^"]*)"/.exec(String(embedFrame(url)))?.[1]?.replaceAll("&amp;", "&");

  test.each([
    [
      "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1m30s",
      "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ?start=90",
    ],
    ["https://youtu.be/dQw4w9WgXcQ?si=x", "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ"],
    ["https://m.youtube.com/shorts/dQw4w9WgXcQ", "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ"],
    [
      "https://www.youtube.com/live/dQw4w9WgXcQ?t=90",
      "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ?start=90",
    ],
    ["https://vimeo.com/76979871", "https://player.vimeo.com/video/76979871?dnt=1"],
    ["https://vimeo.com/76979871/abcdef0123", "https://player.vimeo.com/video/76979871?dnt=1&h=abcdef0123"],
    ["https://www.dailymotion.com/video/x8abcde", "https://geo.dailymotion.com/player.html?video=x8abcde"],
    ["https://dai.ly/x8abcde", "https://geo.dailymotion.com/player.html?video=x8abcde"],
    [
      "https://www.tiktok.com/@some.one/video/7106594312292453675",
      "https://www.tiktok.com/player/v1/7106594312292453675",
    ],
    [
      "https://open.spotify.com/intl-de/track/4cOdK2wGLETKBW3PvgPWqT?si=x",
      "https://open.spotify.com/embed/track/4cOdK2wGLETKBW3PvgPWqT",
    ],
    [
      "https://soundcloud.com/some-one/a-track",
      "https://w.soundcloud.com/player/?url=https%3A%2F%2Fsoundcloud.com%2Fsome-one%2Fa-track",
    ],
    ["https://datawrapper.dwcdn.net/abC12/3/", "https://datawrapper.dwcdn.net/abC12/3/"],
    [
      "https://public.flourish.studio/visualisation/1234567/",
      "https://flo.uri.sh/visualisation/1234567/embed",
    ],
    ["https://www.google.com/maps/embed?pb=!1m18!1d2.5", "https://www.google.com/maps/embed?pb=!1m18!1d2.5"],
  ])("%s plays", (url, player) => {
    expect(src(url)).toBe(player);
    expect(src(player)).toBe(player);
    expect(FRAME_ORIGINS).toContain(new URL(player).origin);
  });

  test("is sandboxed, waits until it is in view, and has a name", () => {
    const html = rendered({ type: "embed", value: "https://youtu.be/dQw4w9WgXcQ" });
    expect(html).toMatch(/^<div class="post-block post-block-embed"><iframe [^>]*><\/iframe><\/div>$/);
    for (const part of [' sandbox="allow-scripts ', ' loading="lazy"', ' title="YouTube"'])
      expect(html).toContain(part);
    expect(html).not.toMatch(/allow-(forms|top-navigation|modals)/);
  });

  test.each([
    "https://www.youtube.com/@channel",
    "https://youtube.com.evil.example/watch?v=dQw4w9WgXcQ",
    "https://evil.example/?https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "https://w.soundcloud.com/player/?url=https%3A%2F%2Fevil.example%2Fa%2Fb",
    "https://www.google.com/search?q=x",
    'https://vimeo.com/1"onload=x',
  ])("%s does not", (url) => {
    expect(embedFrame(url)).toBeNull();
  });

  test("of an unknown site is a link that says where it leads", () => {
    expect(rendered({ type: "embed", value: "https://example.com/report?a&b" })).toBe(
      '<div class="post-block post-block-embed"><a class="live-link" href="https://example.com/report?a&amp;b" rel="noopener nofollow ugc">' +
        '<span class="live-link-host">example.com</span> <span class="live-link-path">/report?a&amp;b</span></a></div>',
    );
  });
});
