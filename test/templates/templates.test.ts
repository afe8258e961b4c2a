import { describe, expect, test } from "vitest";
import type { PageView } from "../../src/pages/store.ts";
import { indexPage, livePosts, notFoundPage, publisherTags, readerPage } from "../../src/templates/index.ts";

const view: PageView = {
  page: {
    channelId: "été 1/2",
    title: "A <final> & more",
    created: 0,
    modified: 60_000,
    cursor: "e.7",
    posts: 1,
  },
  cursor: "e.7",
  posts: [
    { id: "b", show: true, at: 12, content: '<article class="live-post" data-post-id="b">Goal!</article>' },
    { id: 'a"', show: false, at: 3, content: "secret" },
  ],
};

test("the list of posts is the one that PROTOCOL.md shows", () => {
  expect(livePosts(view)).toBe(`<div id="live-posts" data-channel-id="été 1/2" data-cursor="e.7">
<div class="live-post-wrapper" data-at="12"><article class="live-post" data-post-id="b">Goal!</article></div>
<div class="live-post-wrapper" data-at="3" hidden><div class="live-post" data-post-id="a&#34;"></div></div>
</div>`);
});

describe("the publisher's tags", () => {
  test("are the guide's", () => {
    expect(publisherTags({ channelId: "finals", serverHost: "localhost", serverPort: 8765 })).toBe(`<script>
  const channelID = "finals";
  const serverHost = "localhost";
  const serverPort = "8765";
  const useSecureWsConnection = false;
</script>
<script src="/assets/tidings.js"></script>
<script>
  new GenericWebsocketPublisher(\`\${serverHost}:\${serverPort}\`).start();
</script>`);
  });

  test("carry a nonce, another place of the assets, and any channel id", () => {
    const tags = publisherTags({
      channelId: "</script>\u2028\"'",
      serverHost: "[::1]",
      serverPort: "443",
      useSecureWsConnection: true,
      assetsUrl: "https://cdn.example.com/a",
      nonce: "abc",
    });
    expect(tags.match(/<script nonce="abc"/g)).toHaveLength(3);
    expect(tags).toContain('const channelID = "\\u003c/script\\u003e\\u2028\\"\\u0027";');
    expect(tags).toContain("const useSecureWsConnection = true;");
    expect(tags).toContain(' src="https://cdn.example.com/a/tidings.js"');
  });

  test.each([
    [{ serverHost: 'x";alert(1)//', serverPort: 1 }],
    [{ serverHost: "a b", serverPort: 1 }],
    [{ serverHost: "", serverPort: 1 }],
    [{ serverHost: "x", serverPort: 0 }],
    [{ serverHost: "x", serverPort: 65_536 }],
    [{ serverHost: "x", serverPort: "80/" }],
  ])("refuse %o", (settings) => {
    expect(() => publisherTags(settings)).toThrow(expect.objectContaining({ code: "settings" }));
  });
});

describe("documents", () => {
  const documents = [readerPage(view), indexPage([view.page]), notFoundPage()];

  test("need nothing that a strict Content-Security-Policy forbids", () => {
    for (const html of documents) {
      expect(html.match(/<script\b[^>]*>/g)).toEqual(['<script type="module" src="/assets/reader.js">']);
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:|data:/);
    }
  });

  test("escape a title wherever it stands", () => {
    for (const html of documents.slice(0, 2)) {
      expect(html).toContain("A &lt;final&gt; &amp; more");
      expect(html).not.toContain("<final>");
    }
  });

  test("the reader page holds the posts, and nothing of hidden ones", () => {
    expect(documents[0]).toContain(livePosts(view));
    expect(documents[0]).not.toContain("secret");
  });

  test("links that leave the site are there when its public URL is known", () => {
    const url = "https://live.example.com/live/%C3%A9t%C3%A9%201%2F2/";
    const html = readerPage(view, { publicUrl: "https://live.example.com/" });
    expect(html).toContain(`<link rel="canonical" href="${url}">`);
    expect(html).toContain(`<meta property="og:url" content="${url}">`);
    expect(documents[0]).not.toMatch(/canonical|og:url/);
  });

  test("the front page links to each page, and says when there is none", () => {
    expect(documents[1]).toContain('href="/live/%C3%A9t%C3%A9%201%2F2/"');
    expect(documents[1]).toContain("1 post, updated");
    expect(indexPage([])).toContain("Nothing is live");
  });

  test("what is not there is not to be found by search engines", () => {
    expect(documents[2]).toContain('<meta name="robots" content="noindex">');
    expect(documents[0]).not.toContain("noindex");
  });
});
