import { crc32, deflateSync } from "node:zlib";
import type { Browser, BrowserContext, Locator, Page as Tab } from "playwright-core";
import { startServer } from "../../src/app/server.ts";
import { readSettings } from "../../src/app/settings.ts";
import type { Block, Page, Post } from "../../src/pages/model.ts";
import { emptyFolder } from "./folder.ts";

/** A newsroom: the real server, and its API as another editor would use it. */
export interface Newsroom {
  readonly url: string;
  readonly token: string;
  /** A login link of a first start. */
  readonly link: string;
  page(channelId: string, title?: string): Promise<Page>;
  post(channelId: string, content: string | readonly Block[], show?: boolean): Promise<Post>;
  posts(channelId: string): Promise<readonly Post[]>;
  change(channelId: string, postId: string, patch: { content?: string; show?: boolean }): Promise<Post>;
  remove(channelId: string, postId: string): Promise<void>;
  close(): Promise<void>;
}

export async function openNewsroom(): Promise<Newsroom> {
  const { path: data, dispose } = emptyFolder();
  const flags = { host: "127.0.0.1", port: "0", data, "log-level": "silent" };
  const server = await startServer(await readSettings({ flags, env: {}, cwd: data }));
  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(server.url + path, {
      method,
      headers: {
        authorization: `Bearer ${server.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
  const text = (value: string): Block[] => [{ type: "text", value }];
  return {
    url: server.url,
    token: server.token,
    link: server.greeting.editor,
    page: (channelId, title = channelId) => api("POST", "/api/pages", { channelId, title }),
    post: (channelId, content, show = true) =>
      api("POST", `/api/pages/${encodeURIComponent(channelId)}/posts`, {
        content: typeof content === "string" ? text(content) : content,
        show,
      }),
    posts: async (channelId) =>
      (await api<{ items: Post[] }>("GET", `/api/pages/${encodeURIComponent(channelId)}/posts`)).items,
    change: (channelId, postId, { content, ...patch }) =>
      api("PATCH", `/api/pages/${encodeURIComponent(channelId)}/posts/${postId}`, {
        ...patch,
        ...(content === undefined ? {} : { content: text(content) }),
      }),
    remove: (channelId, postId) =>
      api("DELETE", `/api/pages/${encodeURIComponent(channelId)}/posts/${postId}`),
    async close() {
      await server.close();
      await dispose();
    },
  };
}

/** A logged-in editor with the page open. */
export async function openEditor(
  browser: Browser,
  newsroom: Newsroom,
  channelId: string,
  prepare: (tab: Tab) => Promise<void> = async () => {},
): Promise<{ context: BrowserContext; tab: Tab }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  await context.request.post(`${newsroom.url}/api/session`, {
    data: { token: newsroom.token },
    headers: { origin: newsroom.url },
  });
  const tab = await context.newPage();
  await prepare(tab);
  await tab.goto(`${newsroom.url}/editor?page=${encodeURIComponent(channelId)}`);
  await tab.getByRole("form", { name: "New post" }).waitFor();
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

/** A PNG of one colour. */
export function png(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(body.length + 8);
    frame.writeUInt32BE(data.length, 0);
    body.copy(frame, 4);
    frame.writeUInt32BE(crc32(body), body.length + 4);
    return frame;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, 0x6a)]);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.concat(Array<Buffer>(height).fill(row)))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
