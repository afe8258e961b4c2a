import { describe, expect, test } from "vitest";
import { indexPage, notFoundPage, readerPage } from "../../src/templates/pages.ts";
import { livePosts } from "../../src/templates/posts.ts";
import { view } from "./view.ts";

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
