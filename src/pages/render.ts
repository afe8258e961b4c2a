/** From a post to the HTML that its readers get. */
import { LinkifyIt } from "linkify-it";
import { type Html, html, raw } from "../html.ts";
import { embedFrame } from "./embeds.ts";
import type { Block, ImageBlock, Post } from "./model.ts";
import { time } from "./time.ts";
import { isImageId, LINK_REL, safeUrl } from "./urls.ts";

export interface RenderOptions {
  /** Where an uploaded picture is served. Default: `/images/<id>`. */
  readonly imageUrl?: ((id: string) => string) | undefined;
}

/**
 * The post as one `<article class="live-post" data-post-id="…">`; `""` for a hidden one.
 *
 * @example
 * renderPost(post, { imageUrl: (id) => `https://cdn.example.com/images/${id}` });
 */
export function renderPost(post: Post, options: RenderOptions = {}): string {
  if (!post.show) return "";
  const edited =
    post.modified > post.created &&
    html` <span class="live-post-edited">Edited ${time(post.modified, "live-post-modified")}</span>`;
  return String(
    html`<article class="live-post" data-post-id="${post.id}"><header class="live-post-meta">${time(post.created, "live-post-created")}${edited}</header><div class="live-post-content">${post.content.map((block) => renderBlock(block, options))}</div></article>`,
  );
}

function renderBlock(block: Block, options: RenderOptions): Html {
  switch (block.type) {
    case "text":
      return html`<div class="post-block post-block-text">${renderText(block.value)}</div>`;
    case "html":
      return html`<div class="post-block post-block-html">${raw(block.value)}</div>`;
    case "image":
      return html`<figure class="post-block post-block-image">${renderImage(block, options)}</figure>`;
    case "embed":
      return html`<div class="post-block post-block-embed">${embedFrame(block.value) ?? linkCard(block.value)}</div>`;
  }
}

function renderImage(block: ImageBlock, options: RenderOptions): Html {
  const { value, alt, width, height } = block;
  const src = isImageId(value) ? (options.imageUrl?.(value) ?? `/images/${value}`) : safeUrl(value);
  const size = width !== undefined && height !== undefined && html` width="${width}" height="${height}"`;
  return html`<img src="${src}" alt="${alt}"${size} loading="lazy" decoding="async">`;
}

function linkCard(value: string): Html {
  const url = URL.parse(safeUrl(value) ?? "");
  if (url === null) return html`${value}`;
  const path = `${url.pathname}${url.search}`;
  return html`<a class="live-link" href="${url.href}" rel="${LINK_REL}"><span class="live-link-host">${url.host}</span>${path !== "/" && html` <span class="live-link-path">${path}</span>`}</a>`;
}

// --- text ------------------------------------------------------------------------------------------------

// Only what says that it is a link: "won.It" at a sentence's end is none.
const links = new LinkifyIt({ fuzzyLink: false }).add("ftp:", null).add("//", null);

/** Empty lines part paragraphs. Each has its own direction, so that Arabic or Hebrew reads as it should. */
function renderText(text: string): Html[] {
  const paragraphs = text.split(/\n[^\S\n]*\n\s*/).map((paragraph) => paragraph.trim());
  return paragraphs.filter(Boolean).map((paragraph) => html`<p dir="auto">${renderLines(paragraph)}</p>`);
}

function renderLines(paragraph: string): Html[] {
  return paragraph.split("\n").map((line, i) => html`${i > 0 && raw("<br>")}${linkify(line)}`);
}

function linkify(line: string): Html[] {
  const parts: Html[] = [];
  let end = 0;
  for (const { index, lastIndex, raw: text, url } of links.match(line) ?? []) {
    const href = safeUrl(url, ["http:", "https:", "mailto:"]);
    if (href === null) continue;
    parts.push(html`${line.slice(end, index)}<a href="${href}" rel="${LINK_REL}">${text}</a>`);
    end = lastIndex;
  }
  parts.push(html`${line.slice(end)}`);
  return parts;
}
