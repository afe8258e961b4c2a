import { createHash, randomUUID } from "node:crypto";
import { newEpoch } from "../logs/history.ts";
import { type Channel, keepPurged, type OnceRequest, type Row } from "../logs/rows.ts";
import { sqliteLogMethods, sqliteRegisters } from "../logs/sqlite.ts";
import { type SqliteDatabase, withSqlite } from "../logs/sqlite-database.ts";
import { type Announcement, checkId, draftUpdate } from "../protocol.ts";
import type { Image, Page, Post } from "./model.ts";
import {
  limitOf,
  newPost,
  newPostId,
  type PostDraft,
  pagesAfter,
  pagesPart,
  patchPost,
  postsAfter,
  postsPart,
  postUpdate,
  type Refusals,
  refusals,
  toImage,
  toPage,
  toPost,
} from "./records.ts";
import type { RenderOptions } from "./render.ts";
import type { Change, Condition, PageStore } from "./store.ts";

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
const refuse: Refusals = refusals(WHERE);

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
    newestPage: db.prepare("SELECT max(created) AS created FROM pages"),
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

  const rowToPage = (row: Row): Page => toPage(row, registers.head(row.name as string));

  function page(channelId: string): Page {
    const row = sql.page.get(channelId);
    if (!row) throw refuse.noPage(channelId);
    return rowToPage(row);
  }

  function refusePages(channelId: string): void {
    if (sql.hasPage.get(channelId)) throw refuse.isStoredPage(channelId);
  }

  /** The channel of a page that must be there. */
  function channelOf(channelId: string): Channel {
    if (!sql.hasPage.get(channelId)) throw refuse.noPage(channelId);
    return registers.find(channelId)!;
  }

  function post(channel: Channel, postId: string): Post {
    const row = sql.post.get(channel.id, postId);
    if (!row) throw refuse.noPost(postId);
    return toPost(row);
  }

  function currentPost(channel: Channel, postId: string, condition?: Condition): Post {
    const current = post(channel, postId);
    refuse.checkVersion(current, condition);
    return current;
  }

  function image(id: string): Image {
    const row = sql.image.get(id);
    if (!row) throw refuse.noImage(id);
    return toImage(row);
  }

  // --- changing, inside db.write ---------------------------------------------------------------------

  /** Puts a post into the page's history and its table; they cannot disagree. */
  function put(channelId: string, next: PostDraft): Change<Post> {
    const announcement = registers.append(channelId, postUpdate(next, render));
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
            if (sql.hasPage.get(channelId)) throw refuse.pageExists(channelId);
            registers.begin(channelId);
            // Two pages of one millisecond would be listed by their names.
            const newest = Number(sql.newestPage.get()?.created ?? 0);
            const now = Math.max(Date.now(), newest + 1);
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
        const { created, name } = pagesAfter(options);
        return pagesPart(sql.pages.all(created, name, limitOf(options) + 1).map(rowToPage), options);
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
      const id = newPostId(post);
      return db.write((): Change<Post> => {
        const channel = channelOf(channelId);
        let announcement: Announcement | undefined;
        const { value } = registers.once(once(channelId, "post", idempotencyKey, post), () => {
          if (sql.post.get(channel.id, id)) throw refuse.postExists(id);
          const change = put(channelId, newPost(id, post));
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
        const rows = sql.posts.all(channelOf(channelId).id, postsAfter(options), limitOf(options) + 1);
        return postsPart(rows.map(toPost), options);
      });
    },

    async updatePost(channelId, postId, patch, condition) {
      return db.write((): Change<Post> => {
        const current = currentPost(channelOf(channelId), postId, condition);
        const next = patchPost(current, patch);
        if (next) return put(channelId, next);
        return { value: current, announcement: { cursor: registers.head(channelId) } };
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
