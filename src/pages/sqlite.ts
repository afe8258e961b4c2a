import { createHash, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { TidingsError } from "../errors.ts";
import { newEpoch } from "../logs/history.ts";
import { type Channel, keepPurged, type OnceRequest, type Row } from "../logs/rows.ts";
import { sqliteLogMethods, sqliteRegisters } from "../logs/sqlite.ts";
import { type SqliteDatabase, withSqlite } from "../logs/sqlite-database.ts";
import { type Announcement, checkId, draftUpdate } from "../protocol.ts";
import type { Block, Image, Page, Post } from "./model.ts";
import { type RenderOptions, renderPost } from "./render.ts";
import type { Change, Condition, ListOptions, PageStore, Part } from "./store.ts";

const SCHEMA = [
  `
  CREATE TABLE pages (
    name TEXT PRIMARY KEY REFERENCES channels (name) ON DELETE CASCADE,
    title TEXT NOT NULL,
    created INTEGER NOT NULL,  -- ms
    modified INTEGER NOT NULL,
    shown INTEGER NOT NULL DEFAULT 0 -- posts
  ) WITHOUT ROWID;
  CREATE INDEX pages_by_age ON pages (created, name);
  CREATE TABLE posts (
    channel INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    show INTEGER NOT NULL,
    content TEXT NOT NULL,     -- JSON: blocks
    version TEXT NOT NULL,     -- another one with every change
    PRIMARY KEY (channel, id)
  ) WITHOUT ROWID;
  CREATE INDEX posts_by_place ON posts (channel, at);
  CREATE TABLE images (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    created INTEGER NOT NULL,
    bytes BLOB NOT NULL
  );
  `,
];

const WHERE = "sqlite store";

export interface SqliteStoreOptions {
  /** A file, made when missing, or `":memory:"`. One process a file. */
  readonly path: string;
  readonly render?: RenderOptions;
}

/**
 * Pages in an SQLite file: nothing to install, everything in one place.
 *
 * @example
 * const store = sqliteStore({ path: "./data/tidings.db" });
 * await store.createPage({ channelId: "finals", title: "The finals" });
 */
export function sqliteStore({ path, render = {} }: SqliteStoreOptions): PageStore {
  return withSqlite(path, WHERE, (db) => storeIn(db, render));
}

function storeIn(db: SqliteDatabase, render: RenderOptions): PageStore {
  const registers = sqliteRegisters(db, WHERE);
  db.migrate("pages", SCHEMA);
  const endPurge = keepPurged((now) => db.write(() => registers.purge(now)));
  const sql = {
    page: db.prepare("SELECT * FROM pages WHERE name = ?"),
    hasPage: db.prepare("SELECT 1 FROM pages WHERE name = ?"),
    pages: db.prepare(
      `SELECT * FROM pages WHERE (created, name) < (?, ?) ORDER BY created DESC, name DESC LIMIT ?`,
    ),
    addPage: db.prepare("INSERT INTO pages (name, title, created, modified) VALUES (?, ?, ?, ?)"),
    setTitle: db.prepare("UPDATE pages SET title = ?, modified = ? WHERE name = ?"),
    touch: db.prepare("UPDATE pages SET modified = ?, shown = shown + ? WHERE name = ?"),
    post: db.prepare("SELECT * FROM posts WHERE channel = ? AND id = ?"),
    posts: db.prepare("SELECT * FROM posts WHERE channel = ? AND at < ? ORDER BY at DESC LIMIT ?"),
    putPost: db.prepare(
      `INSERT OR REPLACE INTO posts (channel, id, at, created, modified, show, content, version)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    dropPost: db.prepare("DELETE FROM posts WHERE channel = ? AND id = ?"),
    addImage: db.prepare(
      "INSERT INTO images (id, type, width, height, created, bytes) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    image: db.prepare("SELECT id, type, width, height, created FROM images WHERE id = ?"),
    imageBytes: db.prepare("SELECT bytes FROM images WHERE id = ?"),
  };

  // --- reading, inside db.read or db.write -----------------------------------------------------------

  function page(channelId: string): Page {
    const row = sql.page.get(channelId);
    if (!row) throw new TidingsError("not_found", `there is no page "${channelId}"`, { where: WHERE });
    return toPage(row);
  }

  function toPage(row: Row): Page {
    return {
      channelId: row.name as string,
      title: row.title as string,
      created: row.created as number,
      modified: row.modified as number,
      cursor: registers.head(row.name as string),
      posts: row.shown as number,
    };
  }

  function refusePages(channelId: string): void {
    if (!sql.hasPage.get(channelId)) return;
    throw new TidingsError("conflict", `"${channelId}" is a stored page: change its posts`, {
      where: WHERE,
      field: "channelId",
    });
  }

  /** The channel of a page that must be there. */
  function channelOf(channelId: string): Channel {
    if (!sql.hasPage.get(channelId)) page(channelId);
    return registers.find(channelId)!;
  }

  function post(channel: Channel, postId: string): Post {
    const row = sql.post.get(channel.id, postId);
    if (!row) throw new TidingsError("not_found", `there is no post "${postId}"`, { where: WHERE });
    return toPost(row);
  }

  function currentPost(channel: Channel, postId: string, { versions }: Condition = {}): Post {
    const current = post(channel, postId);
    if (versions && !versions.includes(current.version)) {
      throw new TidingsError("stale", `post "${postId}" has been changed since it was read`, {
        where: WHERE,
      });
    }
    return current;
  }

  function image(id: string): Image {
    const row = sql.image.get(id);
    if (!row) throw new TidingsError("not_found", `there is no picture "${id}"`, { where: WHERE });
    return { ...row } as unknown as Image;
  }

  // --- changing, inside db.write ---------------------------------------------------------------------

  /** Puts a post into the page's history and its table; they cannot disagree. */
  function put(
    channelId: string,
    { version: _, at: __, ...next }: Omit<Post, "at" | "version"> & Partial<Post>,
  ) {
    const content = next.show ? renderPost({ ...next, at: 0, version: "" }, render) : "";
    const announcement = registers.append(
      channelId,
      draftUpdate([{ id: next.id, show: next.show, content }]),
    );
    const channel = registers.find(channelId)!;
    const { at } = registers.register(channel, next.id)!;
    const before = sql.post.get(channel.id, next.id);
    // Not the cursor: a hidden post's text may change without a change for readers.
    const value: Post = { ...next, at, version: newEpoch() };
    sql.putPost.run(
      channel.id,
      value.id,
      at,
      value.created,
      value.modified,
      Number(value.show),
      JSON.stringify(value.content),
      value.version,
    );
    sql.touch.run(Date.now(), Number(value.show) - Number(before?.show ?? 0), channelId);
    return { value, announcement };
  }

  return {
    ...sqliteLogMethods(db, registers, refusePages),

    async hasPages(channelIds) {
      return db.read(() => channelIds.map((channelId) => sql.hasPage.get(channelId) !== undefined));
    },

    async createPage({ channelId, title }, { idempotencyKey } = {}) {
      checkId(channelId, "channelId");
      return db.write(() => {
        const { value } = registers.once(
          once(channelId, "page", idempotencyKey, { channelId, title }),
          () => {
            if (sql.hasPage.get(channelId)) {
              throw new TidingsError("conflict", `there is a page "${channelId}" already`, {
                where: WHERE,
                field: "channelId",
              });
            }
            registers.begin(channelId);
            const now = Date.now();
            sql.addPage.run(channelId, title, now, now);
            return page(channelId);
          },
        );
        return { value, announcement: { cursor: registers.head(channelId) } };
      });
    },

    async getPage(channelId) {
      return db.read(() => page(channelId));
    },

    async listPages(options = {}) {
      return db.read(() => {
        const { limit, after } = part(options, parsePageAfter);
        const rows = sql.pages.all(after?.created ?? Number.MAX_SAFE_INTEGER, after?.name ?? "", limit + 1);
        return toPart(rows, limit, toPage, ({ created, channelId }) => `${created}.${channelId}`);
      });
    },

    async updatePage(channelId, { title }) {
      return db.write(() => {
        const { title: before } = page(channelId);
        if (title !== before) sql.setTitle.run(title, Date.now(), channelId);
        return page(channelId);
      });
    },

    async deletePage(channelId) {
      return db.write(() => {
        page(channelId);
        registers.forget(channelId);
        return { value: null, announcement: { cursor: registers.head(channelId) } };
      });
    },

    async createPost(channelId, post, { idempotencyKey } = {}) {
      const id = post.id === undefined ? randomUUID() : checkId(post.id, "id");
      return db.write((): Change<Post> => {
        const channel = channelOf(channelId);
        let announcement: Announcement | undefined;
        const { value } = registers.once(once(channelId, "post", idempotencyKey, post), () => {
          if (sql.post.get(channel.id, id)) {
            throw new TidingsError("conflict", `there is a post "${id}" already`, {
              where: WHERE,
              field: "id",
            });
          }
          const now = Date.now();
          const { created = now, show = true, content } = post;
          const change = put(channelId, { id, created, modified: created, show, content });
          announcement = change.announcement;
          return change.value;
        });
        return { value, announcement: announcement ?? { cursor: registers.head(channelId) } };
      });
    },

    async getPost(channelId, postId) {
      return db.read(() => post(channelOf(channelId), postId));
    },

    async listPosts(channelId, options = {}) {
      return db.read(() => {
        const { limit, after } = part(options, (text) => (/^\d{1,15}$/.test(text) ? Number(text) : null));
        const rows = sql.posts.all(channelOf(channelId).id, after ?? Number.MAX_SAFE_INTEGER, limit + 1);
        return toPart(rows, limit, toPost, ({ at }) => String(at));
      });
    },

    async updatePost(channelId, postId, patch, condition) {
      return db.write((): Change<Post> => {
        const current = currentPost(channelOf(channelId), postId, condition);
        const { content = current.content, show = current.show } = patch;
        const edited = !isDeepStrictEqual(content, current.content);
        if (!edited && show === current.show) {
          return { value: current, announcement: { cursor: registers.head(channelId) } };
        }
        const modified = edited ? Math.max(Date.now(), current.created + 1) : current.modified;
        return put(channelId, { ...current, content, show, modified });
      });
    },

    async deletePost(channelId, postId, condition) {
      return db.write(() => {
        const channel = channelOf(channelId);
        const { show } = currentPost(channel, postId, condition);
        sql.dropPost.run(channel.id, postId);
        sql.touch.run(Date.now(), -Number(show), channelId);
        return { value: null, announcement: registers.append(channelId, draftUpdate([], [postId])) };
      });
    },

    async viewPage(channelId) {
      return db.read(() => {
        const found = page(channelId);
        const posts = registers.view(registers.find(channelId)!);
        return {
          page: found,
          cursor: found.cursor,
          posts: posts.map(({ id, at, show, content }) => ({ id, at, show, content })),
        };
      });
    },

    async addImage(description, bytes, { idempotencyKey } = {}) {
      return db.write(() => {
        const body = () => ({ ...description, bytes: createHash("sha256").update(bytes).digest("hex") });
        const { value } = registers.once({ channel: "", action: "image", key: idempotencyKey, body }, () => {
          const image: Image = { id: randomUUID(), ...description, created: Date.now() };
          sql.addImage.run(image.id, image.type, image.width, image.height, image.created, bytes);
          return image;
        });
        return value;
      });
    },

    async getImage(id) {
      return db.read(() => image(id));
    },

    async readImage(id) {
      return db.read(() => ({ image: image(id), bytes: sql.imageBytes.get(id)!.bytes as Uint8Array }));
    },

    async secret(name, make) {
      return db.write(() => registers.meta(`secret ${name}`, make));
    },

    async close() {
      endPurge();
      await db.close();
    },
  };
}

function once(channel: string, action: string, key: string | undefined, body: unknown): OnceRequest {
  return { channel, action, key, body: () => body };
}

// --- rows and parts of lists -----------------------------------------------------------------------------

function toPost(row: Row): Post {
  return {
    id: row.id as string,
    created: row.created as number,
    modified: row.modified as number,
    show: row.show === 1,
    at: row.at as number,
    content: JSON.parse(row.content as string) as Block[],
    version: row.version as string,
  };
}

function part<A>(
  { limit = 50, after }: ListOptions,
  parse: (after: string) => A | null,
): { limit: number; after: A | null } {
  if (after === undefined) return { limit, after: null };
  const parsed = parse(after);
  if (parsed === null) {
    throw new TidingsError("invalid", 'after must be the "next" of an earlier answer', { field: "after" });
  }
  return { limit, after: parsed };
}

function parsePageAfter(text: string): { created: number; name: string } | null {
  const match = /^(\d{1,15})\.(.+)$/s.exec(text);
  return match && { created: Number(match[1]), name: match[2]! };
}

function toPart<T>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => T,
  next: (last: T) => string,
): Part<T> {
  const items = rows.slice(0, limit).map(toItem);
  return { items, next: rows.length > limit ? next(items.at(-1)!) : null };
}
