import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TidingsError } from "../../src/errors.ts";
import { checkPostHtml, parseBlocks } from "../../src/pages/blocks.ts";
import { FRAME_ORIGINS } from "../../src/pages/embeds.ts";
import type { Page } from "../../src/pages/model.ts";
import { renderPost } from "../../src/pages/render.ts";
import type { PageView, RenderedPost } from "../../src/pages/store.ts";
import { encodeUpdate, hiddenShell, isId } from "../../src/protocol.ts";
import { indexPage, livePosts, publisherTags, readerPage } from "../../src/templates/index.ts";
import { launchBrowser } from "../support/browser.ts";
import { ATTACKS } from "./attacks.ts";

// --- the pages that are attacked, served without any Content-Security-Policy -------------------------------

const documents = new Map<string, string>();
const server = createServer((request, response) => {
  const body = documents.get(request.url!);
  response.writeHead(body === undefined ? 404 : 200, { "Content-Type": "text/html" }).end(body);
});
let browser: Browser;
let context: BrowserContext;
let origin: string;

beforeAll(async () => {
  browser = await launchBrowser();
  context = await browser.newContext();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await browser.close();
  server.close();
});

/** What went wrong in a page: whose script ran, what was asked of whom, what is in its DOM and should not be. */
interface Damage {
  readonly ran: readonly string[];
  readonly requests: readonly string[];
  readonly found: readonly string[];
}

const NONE: Damage = { ran: [], requests: [], found: [] };

/** Loads a document; `frames` are then put in as the client does with an update's HTML. */
async function visit(html: string, frames: readonly string[] = []): Promise<Damage> {
  const path = `/${documents.size}`;
  documents.set(path, html);
  const tab = await context.newPage();
  const ran: string[] = [];
  const requests: string[] = [];
  try {
    await tab.exposeFunction("canary", (name: string) => void ran.push(name));
    tab.on("dialog", (dialog) => {
      ran.push(dialog.message());
      void dialog.dismiss();
    });
    await tab.route(/.*/, (route) => {
      const request = route.request();
      const url = request.url();
      if (url === origin + path) return route.continue();
      const own = [...FRAME_ORIGINS, origin].some((allowed) => url.startsWith(`${allowed}/`));
      if (!own && (request.resourceType() !== "image" || url.includes("evil.invalid"))) requests.push(url);
      return route.abort();
    });
    await tab.goto(origin + path);
    // Taken away to another page meanwhile, it throws: that is damage, too.
    const found = await tab
      .evaluate(inspect, { frames, frameOrigins: FRAME_ORIGINS })
      .catch((error: unknown) => [String(error)]);
    if (tab.url() !== origin + path) requests.push(tab.url());
    return { ran, requests, found };
  } finally {
    await tab.close();
  }
}

/** Runs in the page. */
async function inspect({
  frames,
  frameOrigins,
}: {
  frames: readonly string[];
  frameOrigins: readonly string[];
}): Promise<string[]> {
  const found: string[] = [];
  const list = document.querySelector("#live-posts");
  for (const frame of frames) {
    for (const { content } of Object.values<{ content: string }>(JSON.parse(frame).renders)) {
      const wrapper = document.createElement("div");
      wrapper.className = "live-post-wrapper";
      wrapper.innerHTML = content;
      list!.append(wrapper);
    }
  }
  // An image that fails runs its onerror, if it has one: have all of them loaded now, and wait for it.
  for (const image of document.images) image.loading = "eager";
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

  const wrappers = [...document.querySelectorAll("#live-posts > *")];
  for (const wrapper of wrappers) {
    const [post, ...rest] = wrapper.children;
    if (
      !wrapper.matches(".live-post-wrapper") ||
      !post?.matches(".live-post[data-post-id]") ||
      rest.length > 0
    ) {
      found.push(`broken out of its post: ${wrapper.outerHTML}`);
    }
  }
  if (list && !list.parentElement!.matches(".posts, body")) found.push("the list has moved");

  const allowed =
    /^(a|article|b|blockquote|br|caption|code|details|div|em|figcaption|figure|footer|h2|h3|h4|header|hr|i|iframe|img|li|ol|p|pre|s|span|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|time|tr|u|ul)$/;
  const attributes =
    /^(alt|class|colspan|data-post-id|datetime|decoding|dir|height|href|lang|loading|open|rel|rowspan|scope|src|start|title|width)$/;
  for (const element of document.querySelectorAll(".live-post, .live-post *, h1 *, h2 *, title *")) {
    const name = element.localName;
    const tell = (what: string) => found.push(`${what}: ${element.outerHTML}`);
    if (!allowed.test(name)) tell("element");
    for (const attribute of element.attributes) {
      const isOfFrame = name === "iframe" && /^(allow|referrerpolicy|sandbox)$/.test(attribute.name);
      if (!attributes.test(attribute.name) && !isOfFrame) tell(`attribute ${attribute.name}`);
    }
    for (const key of ["href", "src"] as const) {
      const value = element.getAttribute(key);
      if (value === null) continue;
      const { protocol, origin } = new URL(value, document.baseURI);
      if (!["http:", "https:", "mailto:"].includes(protocol)) tell("scheme");
      if (name === "iframe" && !frameOrigins.includes(origin)) tell("frame");
    }
    if (name === "iframe" && !element.hasAttribute("sandbox")) tell("no sandbox");
  }
  if (document.querySelector("base, meta[http-equiv], form, [name]:not(meta)"))
    found.push("base, refresh, form or name");
  return found;
}

// --- the attacks -----------------------------------------------------------------------------------------

/** The attack, calling `canary` with its own name. */
function armed(attack: string, name: string): string {
  return attack.replaceAll("canary()", `canary(\`${name}\`)`);
}

const FIELDS: Readonly<Record<string, (attack: string) => readonly unknown[]>> = {
  "text value": (value) => [{ type: "text", value }],
  "html value": (value) => [{ type: "html", value: `<p>x</p>${value}` }],
  "html inside tags": (value) => [
    { type: "html", value: `<table><tr><td><b>${value}</b></td></tr></table>` },
  ],
  "html attribute": (value) => [
    { type: "html", value: `x<a href="${value}">x</a><img src='${value}' alt='${value}'>` },
  ],
  "html frame": (value) => [{ type: "html", value: `x<iframe src="${value}"></iframe>` }],
  "image value": (value) => [{ type: "image", value }],
  "image alt": (alt) => [{ type: "image", value: "https://pictures.invalid/x.png", alt }],
  "embed value": (value) => [{ type: "embed", value }],
};

const post = { created: 1, modified: 2, show: true, at: 1, version: "" };

/** The post that comes of an attack; `null` when the field refuses it. */
function attacked(
  field: string,
  attack: string,
  options: { id: string; trustedHtml?: boolean },
): RenderedPost | null {
  const { id, trustedHtml = false } = options;
  try {
    const content = parseBlocks(FIELDS[field]!(armed(attack, `${field}: ${id}`)), { trustedHtml });
    return { id, show: true, at: 1, content: renderPost({ ...post, id, content }) };
  } catch (error) {
    if (error instanceof TidingsError && error.code === "invalid") return null;
    throw error;
  }
}

function viewOf(posts: readonly RenderedPost[], title = "Page"): PageView {
  return { page: pageOf(title), cursor: "e.1", posts };
}

function pageOf(title: string): Page {
  return { channelId: "page", title, created: 1, modified: 1, cursor: "e.1", posts: 1 };
}

function document_(view: PageView): string {
  return `<!doctype html><meta charset="utf-8"><title>page</title>${livePosts(view)}`;
}

function frameOf(posts: readonly RenderedPost[]): string {
  return encodeUpdate({
    renders: new Map(posts.map((post) => [post.id, post])),
    removals: [],
    cursor: "e.2",
  });
}

test("the table is long, and has nothing twice", () => {
  expect(new Set(ATTACKS).size).toBe(ATTACKS.length);
  expect(ATTACKS.length).toBeGreaterThan(100);
});

describe("without a Content-Security-Policy, nothing gets through", () => {
  test.each(Object.keys(FIELDS))("%s", async (field) => {
    const posts = ATTACKS.flatMap((attack, i) => attacked(field, attack, { id: `attack ${i}` }) ?? []);
    expect(posts.length).toBeGreaterThan(0);
    expect(await visit(document_(viewOf(posts)), [frameOf(posts)])).toEqual(NONE);
  });

  test("a post rendered by another CMS", async () => {
    const renders = checkPostHtml(
      new Map(
        ATTACKS.map((attack, i) => {
          const id = `attack ${i}`;
          const content = `<article class="live-post" data-post-id="${id}">x${armed(attack, id)}</article>`;
          return [id, { show: true, content }];
        }),
      ),
    );
    // The markup around it may be broken by what is in it; then the client puts its own around it.
    const posts = [...renders].map(([id, { content }]) => ({
      id,
      show: true,
      at: 1,
      content: hiddenShell(id).replace("></div>", `>${content}</div>`),
    }));
    expect(await visit(document_(viewOf(posts)), [frameOf(posts)])).toEqual(NONE);
  });

  test("a post's id, shown and hidden", async () => {
    const ids = ATTACKS.map((attack, i) => armed(attack, `id ${i}`).replace(/[/\p{Cc}\p{Cs}]/gu, "")).filter(
      isId,
    );
    expect(ids.length).toBeGreaterThan(ATTACKS.length - 10);
    const content = parseBlocks([{ type: "text", value: "x" }]);
    const posts = ids.flatMap((id) => [
      { id, show: true, at: 1, content: renderPost({ ...post, id, content }) },
      { id, show: false, at: 1, content: "" },
    ]);
    expect(await visit(document_(viewOf(posts)), [frameOf(posts)])).toEqual(NONE);
  });

  test("a page's title and id, in the reader page, the front page and the publisher's tags", async () => {
    const attack = ATTACKS.map((each, i) => armed(each, `title ${i}`)).join(" ");
    const page = { ...pageOf(attack), channelId: attack.toWellFormed() };
    expect(await visit(readerPage({ ...viewOf([]), page }, { publicUrl: "https://x.invalid" }))).toEqual(
      NONE,
    );
    expect(await visit(indexPage([page]))).toEqual(NONE);
    const tags = publisherTags({
      channelId: attack,
      serverHost: "localhost",
      serverPort: 8765,
      nonce: attack,
    });
    expect(await visit(`<!doctype html><meta charset="utf-8">${tags}`)).toEqual(NONE);
  });

  test("each title by itself, as a parser may recover from one attack in another", async () => {
    const pages = ATTACKS.map((attack, i) => pageOf(armed(attack, `title ${i}`)));
    const html = pages.map((page) => readerPage({ ...viewOf([]), page }));
    const titles = await titlesOf(html);
    expect(titles).toEqual(pages.map(({ title }) => visible(title)));
  });
});

/** The headings and titles of documents as Chromium parses them. */
async function titlesOf(html: readonly string[]): Promise<string[]> {
  const tab = await context.newPage();
  const titles = await tab.evaluate(
    (html) =>
      html.map((text) => {
        const page = new DOMParser().parseFromString(text, "text/html");
        const heading = page.querySelector("main > header > h1")!;
        const title = page.querySelector("head > title")!;
        return [heading.textContent, title.textContent];
      }),
    html,
  );
  await tab.close();
  return titles.map(([heading, title]) => {
    expect(visible(title!)).toBe(visible(heading!));
    return visible(heading!);
  });
}

/** A text without what HTML cannot hold: NUL is lost or replaced, half a pair is replaced. */
function visible(text: string): string {
  return text.toWellFormed().replaceAll("\u0000", "").replaceAll("\ufffd", "");
}

test("the same attacks do get through where HTML is trusted: the test can tell", async () => {
  // All but those that take the page away from the others, or the harness's own means from it.
  const posts = ATTACKS.flatMap((attack, i) =>
    /refresh|frameset|plaintext|name=querySelector|id=live-posts/.test(attack)
      ? []
      : attacked("html value", attack, { id: `attack ${i}`, trustedHtml: true })!,
  );
  const { ran, requests, found } = await visit(document_(viewOf(posts)), [frameOf(posts)]);
  expect(new Set(ran).size).toBeGreaterThan(15);
  expect(requests.length).toBeGreaterThan(5);
  for (const what of [
    "element",
    "attribute",
    "scheme",
    "frame",
    "no sandbox",
    "broken out",
    "base, refresh",
  ]) {
    expect(
      found.some((each) => each.startsWith(what)),
      what,
    ).toBe(true);
  }
});
