/** Whole documents: the page that readers follow, the front page, and the page for what is not there. */

import { type Html, html, raw } from "../html.ts";
import type { Page } from "../pages/model.ts";
import type { PageView } from "../pages/store.ts";
import { time } from "../pages/time.ts";
import { livePosts } from "./posts.ts";

export interface SiteSettings {
  /** Where the site is reached from outside, for links that leave it (canonical, Open Graph). Default: none of those. */
  readonly publicUrl?: string | undefined;
  /** Where style sheet and script are served. Default: `/assets`. */
  readonly assetsUrl?: string | undefined;
}

/**
 * The page that readers follow, whole. It needs no inline script or style, shows every post without
 * JavaScript, and keeps itself up to date with it.
 *
 * @example
 * readerPage(await store.viewPage("finals"), { publicUrl: "https://live.example.com" });
 */
export function readerPage(view: PageView, settings: SiteSettings = {}): string {
  const { page } = view;
  return document(
    {
      title: page.title,
      description: `${page.title}: live updates, as they happen.`,
      path: `/live/${encodeURIComponent(page.channelId)}/`,
      type: "article",
      status: html`<p class="live-state" data-live-state="connecting" hidden></p>`,
    },
    html`<header class="masthead">
<p class="kicker">Live coverage</p>
<h1>${page.title}</h1>
<p class="dateline">Started ${time(page.created)}</p>
</header>
<noscript><p class="notice">Without JavaScript this page does not update itself. <a href="?">Load the newest posts</a></p></noscript>
<div class="new-posts-place"><button class="new-posts" type="button" hidden></button></div>
<p class="visually-hidden" role="status"></p>
<section class="posts" aria-label="Posts, newest first">
${raw(livePosts(view))}
<p class="no-posts">No posts yet. The first one will appear here.</p>
</section>`,
    settings,
  );
}

/** The front page: the live pages that there are. */
export function indexPage(pages: readonly Page[], settings: SiteSettings = {}): string {
  const items = pages.map(
    (page) => html`<li><a class="page-link" href="/live/${encodeURIComponent(page.channelId)}/">
<h2>${page.title}</h2>
<p class="dateline">${page.posts === 1 ? "1 post" : `${page.posts} posts`}, updated ${time(page.modified)}</p>
</a></li>\n`,
  );
  return document(
    { title: "Live pages", description: "What is being covered live.", path: "/", type: "website" },
    html`<header class="masthead"><h1>Live pages</h1></header>
${items.length > 0 ? html`<ul class="pages">\n${items}</ul>` : html`<p class="no-posts">Nothing is live at the moment.</p>`}`,
    settings,
  );
}

/** The page for a path that leads nowhere. */
export function notFoundPage(settings: SiteSettings = {}): string {
  return document(
    { title: "Not found", description: "There is no such page." },
    html`<header class="masthead"><h1>There is no such page</h1></header>
<p class="notice">It may have ended, or its address has a mistake. <a href="/">See what is live</a></p>`,
    settings,
  );
}

interface DocumentHead {
  readonly title: string;
  readonly description: string;
  /** Percent-encoded. None: the document has no address of its own. */
  readonly path?: string;
  readonly type?: "article" | "website";
  /** What the bar at the top shows beside the site's name. */
  readonly status?: Html;
}

function document(
  head: DocumentHead,
  main: Html,
  { publicUrl, assetsUrl = "/assets" }: SiteSettings,
): string {
  const { title, description, path, type, status } = head;
  const url = publicUrl !== undefined && path !== undefined && publicUrl.replace(/\/+$/, "") + path;
  return String(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<meta name="description" content="${description}">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="#fbf8f1" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#161412" media="(prefers-color-scheme: dark)">
${path === undefined && html`<meta name="robots" content="noindex">\n`}${
  type &&
  html`<meta property="og:title" content="${title}">
<meta property="og:description" content="${description}">
<meta property="og:type" content="${type}">\n`
}${
  url &&
  html`<meta property="og:url" content="${url}">
<link rel="canonical" href="${url}">\n`
}<link rel="icon" href="${assetsUrl}/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${assetsUrl}/reader.css">
<script type="module" src="${assetsUrl}/reader.js"></script>
</head>
<body>
<a class="skip-link" href="#main">Skip to the content</a>
<header class="bar"><a class="wordmark" href="/">Tidings</a>${status}</header>
<main id="main" tabindex="-1">
${main}
</main>
</body>
</html>
`);
}
