import type { Browser, BrowserContext, Locator, Page as Tab } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { Block, Page, Post } from "../../src/pages/model.ts";
import { launchBrowser } from "./browser.ts";
import { startTestServer } from "./server.ts";

/** A running server, and its API as another editor would use it. */
export interface Newsroom {
  readonly url: string;
  readonly token: string;
  /** A login link of a first start. */
  readonly link: string;
  page(channelId: string, title?: string): Promise<Page>;
  removePage(channelId: string): Promise<void>;
  post(channelId: string, content: string | readonly Block[], show?: boolean): Promise<Post>;
  posts(channelId: string): Promise<readonly Post[]>;
  change(channelId: string, postId: string, patch: { content?: string; show?: boolean }): Promise<Post>;
  remove(channelId: string, postId: string): Promise<void>;
  close(): Promise<void>;
}

async function openNewsroom(): Promise<Newsroom> {
  const server = await startTestServer();
  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await server.api(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.json as T;
  }
  const postsOf = (channelId: string) => `/api/pages/${encodeURIComponent(channelId)}/posts`;
  const text = (value: string): Block[] => [{ type: "text", value }];
  return {
    url: server.url,
    token: server.token,
    link: server.greeting.editor,
    page: (channelId, title = channelId) => api("POST", "/api/pages", { channelId, title }),
    removePage: (channelId) => api("DELETE", `/api/pages/${encodeURIComponent(channelId)}`),
    post: (channelId, content, show = true) =>
      api("POST", postsOf(channelId), {
        content: typeof content === "string" ? text(content) : content,
        show,
      }),
    posts: async (channelId) => (await api<{ items: Post[] }>("GET", postsOf(channelId))).items,
    change: (channelId, postId, { content, ...patch }) =>
      api("PATCH", `${postsOf(channelId)}/${postId}`, {
        ...patch,
        ...(content === undefined ? {} : { content: text(content) }),
      }),
    remove: (channelId, postId) => api("DELETE", `${postsOf(channelId)}/${postId}`),
    close: server.close,
  };
}

/** What each test of the editor finds: a browser, a server, and a page of its own. */
export interface Desk {
  readonly browser: Browser;
  readonly newsroom: Newsroom;
  /** The channel id of this test's page. */
  readonly channel: string;
  /** The values of the page's posts, newest first, blocks joined by `|`. */
  texts(): Promise<string[]>;
}

/** Sets a desk up for the tests of a file. */
export function useDesk(): Desk {
  let browser: Browser;
  let newsroom: Newsroom;
  let count = 0;
  const channel = () => `page-${count}`;
  beforeAll(async () => {
    [browser, newsroom] = await Promise.all([launchBrowser(), openNewsroom()]);
  });
  beforeEach(async () => {
    count += 1;
    await newsroom.page(channel());
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });
  afterAll(async () => {
    await browser?.close();
    await newsroom?.close();
  });
  return {
    get browser() {
      return browser;
    },
    get newsroom() {
      return newsroom;
    },
    get channel() {
      return channel();
    },
    async texts() {
      const posts = await newsroom.posts(channel());
      return posts.map((post) => post.content.map((block) => block.value).join("|"));
    },
  };
}

export interface EditorOptions {
  /** Default: the desk's page. */
  readonly channelId?: string;
  /** What to do before the page is opened. */
  readonly prepare?: (tab: Tab) => Promise<void>;
}

/** A logged-in editor with the page open. */
export async function openEditor(
  { browser, newsroom, channel }: Desk,
  { channelId = channel, prepare }: EditorOptions = {},
): Promise<{ context: BrowserContext; tab: Tab }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  context.setDefaultTimeout(20_000); // before the test’s own: then the failure says what was waited for
  const data = { token: newsroom.token };
  await context.request.post(`${newsroom.url}/api/session`, { data, headers: { origin: newsroom.url } });
  const tab = await context.newPage();
  await prepare?.(tab);
  await tab.goto(`${newsroom.url}/editor?page=${encodeURIComponent(channelId)}`);
  await composer(tab).waitFor();
  return { context, tab };
}

/** The post in the editor's list that says `text`. */
export function listed(tab: Tab, text: string): Locator {
  return tab.locator(".post").filter({ hasText: text });
}

/** The composer of a new post. */
export function composer(tab: Tab): Locator {
  return tab.getByRole("form", { name: "New post" });
}

/** The text field of the new post. */
export function field(tab: Tab): Locator {
  return composer(tab).getByLabel("Text", { exact: true });
}

/** Publishes a post of `text`. */
export async function publish(tab: Tab, text: string): Promise<void> {
  await field(tab).fill(text);
  await send(tab, text);
}

/** Publishes what is written, until it is in the list and the next post can be written. */
export async function send(tab: Tab, text: string): Promise<void> {
  await tab.keyboard.press("Control+Enter");
  await listed(tab, text).waitFor();
  await tab.locator('form[aria-label="New post"][aria-busy="false"] textarea:focus').waitFor();
}
