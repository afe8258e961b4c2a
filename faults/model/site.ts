/** The newsroom's side: a log of `src/` of each kind, edits to it, and what can happen to it. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Bus } from "../../src/buses/bus.ts";
import type { Log } from "../../src/logs/log.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { sqliteLog } from "../../src/logs/sqlite.ts";
import { sqliteStore } from "../../src/pages/sqlite.ts";
import type { PageStore, PageView } from "../../src/pages/store.ts";
import type { Announcement, Render } from "../../src/protocol.ts";
import { createPagePublisher } from "../../src/publishers/pages.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";
import { livePosts } from "../../src/templates/posts.ts";
import type { Clock } from "./clock.ts";
import { Broken, markOf, type Truth } from "./truth.ts";

export const CHANNEL = "news";
export const LOG_KINDS = ["memory log", "sqlite log", "sqlite store"] as const;
export type LogKind = (typeof LOG_KINDS)[number];

export const POSTS = ["a", "b", "7", "__proto__", 'q"<&'] as const;
export type Post = (typeof POSTS)[number];

/** `again`: the last request that had an idempotency key, once more. `late`: a version older than is known. */
export type Edit =
  | { readonly op: "write"; readonly post: Post; readonly big?: boolean; readonly keyed?: boolean }
  | { readonly op: "hide" | "show" | "remove" | "late"; readonly post: Post }
  | { readonly op: "again" };

export interface Site {
  /** The log as it is now: {@link reopen} and {@link restore} replace it. */
  readonly log: Log;
  /** An update was so large that the history may be cut within. */
  readonly isCut: boolean;
  edit(edit: Edit): Promise<void>;
  html(): Promise<string>;
  /** The log's process is another one: what it knew in memory only is gone. */
  reopen(): Promise<void>;
  backUp(): void;
  restore(): Promise<void>;
  /** The page is deleted, and made anew under its name. */
  remake(): Promise<void>;
  /** Tombstones are purged: the floor rises. */
  trim(): Promise<void>;
  close(): Promise<void>;
}

interface Request {
  readonly id: string;
  readonly mark: string;
  readonly show: boolean;
  readonly key: string | undefined;
  readonly isNew: boolean;
  readonly version: number;
}

const MONTHS = 60 * 86_400_000;
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const BIG = "x".repeat(300_000);

export async function openSite(kind: LogKind, truth: Truth, bus: Bus, clock: Clock): Promise<Site> {
  const folder = kind === "memory log" ? undefined : mkdtempSync(join(FOLDER, "tidings-model-"));
  const path = join(folder ?? "", "site.db");
  const backup = join(folder ?? "", "backup.db");
  const memory = memoryLog();
  let marks = 0;
  let version = 0;
  let isCut = false;
  let last: Request | undefined;
  let log: Log;
  let write: (request: Request) => Promise<void>;
  let remove: (post: string) => Promise<void>;

  /** What the truth is to know once the log has it, before anybody is told. */
  async function known<T>(change: Promise<T>, announcementOf: (value: T) => Announcement, learn: () => void) {
    const value = await change;
    const announcement = announcementOf(value);
    learn();
    truth.name(announcement.cursor, "renders" in announcement);
    return value;
  }
  let learn = () => {};

  function openLog(): void {
    if (kind === "sqlite store") {
      openStore();
      return;
    }
    const opened = kind === "memory log" ? memory : sqliteLog({ path });
    log = opened;
    const publisher = createPublisher({
      bus,
      log: {
        append(...append) {
          const learned = learn;
          return known(opened.append(...append), (announcement) => announcement, learned);
        },
      },
    });
    write = async ({ id, mark, show, version, key }) => {
      const content = `<div class="live-post" data-post-id="${quoted(id)}">${mark}</div>`;
      await publisher.publish(CHANNEL, [{ id, show, content, version }], [], { idempotencyKey: key });
    };
    remove = async (id) => {
      await publisher.publish(CHANNEL, {}, [id]);
    };
  }

  function openStore(): void {
    const store = sqliteStore({ path });
    log = store;
    const watched = <A extends unknown[], T extends { announcement: Announcement }>(
      change: (...values: A) => Promise<T>,
    ) => {
      return (...values: A) => known(change(...values), ({ announcement }) => announcement, learn);
    };
    const publisher = createPagePublisher({
      bus,
      store: {
        ...store,
        createPage: watched(store.createPage),
        deletePage: watched(store.deletePage),
        createPost: watched(store.createPost),
        updatePost: watched(store.updatePost),
        deletePost: watched(store.deletePost),
      },
    });
    write = async ({ id, mark, show, isNew, key }) => {
      const content = [{ type: "text", value: mark }] as const;
      if (isNew) await publisher.createPost(CHANNEL, { id, content, show }, { idempotencyKey: key });
      else await publisher.updatePost(CHANNEL, id, { content, show });
    };
    remove = (id) => publisher.deletePost(CHANNEL, id);
    remake = async () => {
      const [isThere] = await store.hasPages([CHANNEL]);
      if (isThere) {
        await learning(
          () => truth.clear(),
          () => publisher.deletePage(CHANNEL),
        );
      }
      await publisher.createPage({ channelId: CHANNEL, title: "News" });
    };
  }

  let remake = async (): Promise<void> => {
    truth.name(memory.renew(CHANNEL), true);
  };

  async function view(): Promise<PageView> {
    if (kind === "sqlite store") return (log as PageStore).viewPage(CHANNEL);
    const posts = new Map<string, Render>();
    let cursor: string | null = null;
    for (;;) {
      const since = await log.since(CHANNEL, cursor);
      if ("reset" in since) throw new Broken(`the log gave out ${cursor}, which does not hold`);
      for (const [id, render] of since.entry.renders) posts.set(id, render);
      for (const id of since.entry.removals) posts.delete(id);
      cursor = since.entry.cursor;
      if (!since.more) break;
    }
    const newest = [...posts].sort(([, a], [, b]) => b.at - a.at).map(([id, render]) => ({ id, ...render }));
    return { page: { channelId: CHANNEL } as PageView["page"], cursor, posts: newest };
  }

  async function close(): Promise<void> {
    if (kind !== "memory log") await log.close();
  }

  /** The change that `act` begins is what `learned` says, once it is made. */
  function learning<T>(learned: () => void, act: () => T): T {
    learn = learned;
    try {
      return act();
    } finally {
      learn = () => {};
    }
  }

  const newMark = (big = false) => {
    isCut ||= big;
    return `⟦${++marks}⟧${big ? BIG : ""}`;
  };

  const site: Site = {
    get log() {
      return log;
    },
    get isCut() {
      return isCut;
    },

    async edit(edit) {
      if (edit.op === "again") return last && write(last);
      const { post } = edit;
      const is = truth.get(post);
      const put = (mark: string, show: boolean, key?: string) => {
        const request = { id: post, mark, show, key, isNew: !is, version: ++version };
        return learning(
          () => {
            truth.put(post, { mark: markOf(mark), show });
            // One that was refused would be done for the first time.
            if (key && !is) last = request;
          },
          () => write(request),
        );
      };
      if (edit.op === "write")
        return put(newMark(edit.big), is?.show ?? true, edit.keyed ? `k${marks}` : undefined);
      if (!is) return;
      if (edit.op === "show" || edit.op === "hide") return put(is.mark, edit.op === "show");
      if (edit.op === "remove") {
        return learning(
          () => truth.remove(post),
          () => remove(post),
        );
      }
      // A writer who was held up: the log knows a newer version, and leaves this one out.
      if (kind === "sqlite store") return;
      return write({ id: post, mark: newMark(), show: true, key: undefined, isNew: false, version: 0 });
    },

    html: async () => `<!doctype html><html><body>${livePosts(await view())}</body></html>`,

    async reopen() {
      if (kind === "memory log") return;
      await close();
      openLog();
    },

    backUp() {
      if (!folder) return;
      rmSync(backup, { force: true });
      const db = new DatabaseSync(path);
      db.exec(`VACUUM INTO '${backup}'`);
      db.close();
      truth.backUp();
    },

    async restore() {
      if (!folder || !truth.restore()) return;
      await close();
      for (const end of ["-wal", "-shm"]) rmSync(path + end, { force: true });
      copyFileSync(backup, path);
      openLog();
      last = undefined;
    },

    async remake() {
      last = undefined;
      if (kind === "sqlite log") return;
      if (kind === "memory log") truth.clear();
      await remake();
    },

    async trim() {
      last = undefined;
      if (kind === "memory log") {
        const gone = Array.from({ length: 2_001 }, (_, i) => `gone-${marks}-${i}`);
        marks++;
        const announcement = await memory.append(CHANNEL, { renders: new Map(), removals: gone });
        truth.name(announcement.cursor, true);
        await bus.publish(CHANNEL, announcement);
        return;
      }
      await close();
      clock.onDate(MONTHS, openLog);
    },

    async close() {
      await close();
      if (folder) rmSync(folder, { recursive: true, force: true });
    },
  };

  openLog();
  if (kind === "sqlite store") void remake();
  return site;
}

function quoted(id: string): string {
  return id.replace(/[&"<>]/g, (c) => `&#${c.charCodeAt(0)};`);
}
