import { createHash, randomUUID } from "node:crypto";
import { headOf, newEpoch } from "../logs/history.ts";
import { type PostgresDatabase, withPostgres } from "../logs/postgres-database.ts";
import { type LockedChannel, type PostgresRegisters, postgresRegisters } from "../logs/postgres-registers.ts";
import { keepPurged, type Row, toChannel } from "../logs/rows.ts";
import { type Announcement, checkId, draftUpdate, type Entry } from "../protocol.ts";
import type { PostgresPool, Query } from "../services/postgres-pool.ts";
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
  ALTER TABLE tidings.channels  -- NULL where it is no stored page
    ADD COLUMN title TEXT,
    ADD COLUMN created BIGINT,  -- ms
    ADD COLUMN modified BIGINT,
    ADD COLUMN shown INTEGER;   -- posts
  CREATE INDEX pages_by_age ON tidings.channels (created, name) WHERE title IS NOT NULL;
  CREATE TABLE tidings.posts (
    channel BIGINT NOT NULL REFERENCES tidings.channels ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    created BIGINT NOT NULL,
    modified BIGINT NOT NULL,
    show BOOLEAN NOT NULL,
    content TEXT NOT NULL,      -- JSON: blocks. Not as JSONB, which cannot hold U+0000
    version TEXT NOT NULL,      -- another one with every change
    PRIMARY KEY (channel, id)
  );
  CREATE INDEX posts_by_place ON tidings.posts (channel, at);
  CREATE TABLE tidings.images (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    created BIGINT NOT NULL,
    bytes BYTEA NOT NULL
  );
  `,
];

const PAGE = "title, created, modified, shown";
const POST = "id, at, created, modified, show, content, version";
const IMAGE = "id, type, width, height, created";

const SQL = {
  hasPages: "SELECT name FROM tidings.channels WHERE name = ANY($1) AND title IS NOT NULL",
  pages: `SELECT name, epochs, seq, ${PAGE} FROM tidings.channels
    WHERE title IS NOT NULL AND (created, name) < ($1, $2) ORDER BY created DESC, name DESC LIMIT $3`,
  addPage: "UPDATE tidings.channels SET title = $2, created = $3, modified = $3, shown = 0 WHERE id = $1",
  setTitle: "UPDATE tidings.channels SET title = $2, modified = $3 WHERE id = $1",
  post: `SELECT ${POST} FROM tidings.posts WHERE channel = $1 AND id = $2`,
  posts: `SELECT ${POST} FROM tidings.posts WHERE channel = $1 AND at < $2 ORDER BY at DESC LIMIT $3`,
  putPost: `WITH touched AS (UPDATE tidings.channels SET modified = $9, shown = shown + $10 WHERE id = $1)
    INSERT INTO tidings.posts (channel, ${POST}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (channel, id) DO UPDATE SET at = excluded.at, created = excluded.created,
      modified = excluded.modified, show = excluded.show, content = excluded.content, version = excluded.version`,
  dropPost: `WITH touched AS (UPDATE tidings.channels SET modified = $3, shown = shown + $4 WHERE id = $1)
    DELETE FROM tidings.posts WHERE channel = $1 AND id = $2`,
  addImage: `INSERT INTO tidings.images (${IMAGE}, bytes) VALUES ($1, $2, $3, $4, $5, $6)`,
  image: `SELECT ${IMAGE} FROM tidings.images WHERE id = $1`,
  imageBytes: `SELECT ${IMAGE}, bytes FROM tidings.images WHERE id = $1`,
};

const WHERE = "postgres store";
const DEFAULT_CONNECTIONS = 10;
const refuse: Refusals = refusals(WHERE);

interface Options {
  /** Connections at most, when opened by URL. Default 10. */
  readonly connections?: number;
  readonly render?: RenderOptions;
  /** Told what went wrong while nobody waited for it: a connection lost, a purge. Default: `console.error`. */
  readonly onError?: (error: unknown, context: { stage: string }) => void;
}

export type PostgresStoreOptions = Options &
  (
    | {
        /** `postgres://user:password@host/database`. Needs the package `pg`. */
        readonly url: string;
        readonly pool?: undefined;
      }
    | {
        /** A pool of `pg` on the primary, of four connections at least; the caller closes it. */
        readonly pool: PostgresPool;
        readonly url?: undefined;
      }
  );

/**
 * Pages in PostgreSQL, in the schema `tidings`: any number of processes are one site. Makes and migrates its tables;
 * processes that start at the same moment take turns. What the server does not do within 10 s is `unavailable`: a
 * change may have been made all the same, and its idempotency key tells.
 *
 * Behind PgBouncer in transaction mode it needs prepared statements (`max_prepared_statements`).
 *
 * @example
 * const store = await postgresStore({ url: "postgres://tidings:secret@db/news" });
 * await store.createPage({ channelId: "finals", title: "The finals" });
 */
export async function postgresStore(options: PostgresStoreOptions): Promise<PageStore> {
  const { connections = DEFAULT_CONNECTIONS, render = {}, onError = console.error } = options;
  return withPostgres(options, { where: WHERE, max: connections, onError }, async (db) => {
    const registers = await postgresRegisters(db, { where: WHERE, columns: PAGE });
    await db.migrate("pages", SCHEMA);
    return storeIn(db, registers, render, onError);
  });
}

function storeIn(
  db: PostgresDatabase,
  registers: PostgresRegisters,
  render: RenderOptions,
  onError: NonNullable<Options["onError"]>,
): PageStore {
  const endPurge = keepPurged((now) => db.write((query) => registers.purge(query, now)), onError);

  // --- reading -----------------------------------------------------------------------------------------

  const rowToPage = (row: Row): Page => toPage(row, headOf(toChannel(row)));

  async function pageRow(query: Query, channelId: string): Promise<Row> {
    const row = await registers.find(query, channelId);
    if (!row || row.title === null) throw refuse.noPage(channelId);
    return row;
  }

  async function findPost(query: Query, channel: number, postId: string): Promise<Post | undefined> {
    const [row] = await query(SQL.post, channel, postId);
    return row && toPost(row);
  }

  // --- changing ----------------------------------------------------------------------------------------

  /** Begins a change of a page that must be there. */
  async function lockPage(query: Query, channelId: string): Promise<LockedChannel> {
    const channel = await registers.lock(query, channelId);
    if (!channel || channel.row.title === null) throw refuse.noPage(channelId);
    return channel;
  }

  async function lockPost(query: Query, channel: LockedChannel, postId: string, condition?: Condition) {
    const current = await findPost(query, channel.id, postId);
    if (!current) throw refuse.noPost(postId);
    refuse.checkVersion(current, condition);
    return current;
  }

  /** Puts a post into the page's history and its table; they cannot disagree. */
  async function put(
    query: Query,
    channel: LockedChannel,
    next: PostDraft,
    before?: Post,
  ): Promise<Change<Post>> {
    const announcement = await registers.append(query, channel, postUpdate(next, render));
    const at = before?.at ?? (announcement as Entry).renders.get(next.id)!.at;
    // Not the cursor: a hidden post's text may change without a change for readers.
    const value: Post = { ...next, at, version: newEpoch() };
    const { id, created, modified, show, version } = value;
    const content = JSON.stringify(value.content);
    const shown = Number(show) - Number(before?.show ?? false);
    const post = [id, at, created, modified, show, content, version];
    await query(SQL.putPost, channel.id, ...post, Date.now(), shown);
    return { value, announcement };
  }

  return {
    async append(channelId, update, { idempotencyKey: key } = {}) {
      return db.write(async (query) => {
        const channel = await registers.lockOrAdd(query, channelId);
        if (channel.row.title !== null) throw refuse.isStoredPage(channelId);
        let announcement: Announcement | undefined;
        const request = { channel: channelId, action: "append", key, body: () => update };
        const { cursor } = await registers.once(query, request, async () => {
          announcement = await registers.append(query, channel, update);
          return { cursor: announcement.cursor };
        });
        return announcement ?? { cursor };
      });
    },

    async since(channelId, cursor) {
      for (;;) {
        // In one snapshot: between two, another process may begin an epoch that the answer is not of.
        const { answer, holds } = await db.read(async (query) => {
          const answer = await registers.since(query, channelId, cursor);
          const holds = !("reset" in answer) || (await registers.hasBegunEpoch(query, channelId));
          return { answer, holds };
        });
        if (holds) return answer;
        // The end may be lost: a cache's copy of it must not be of the epoch that the reader is told to go on in.
        await db.write((query) => registers.beginEpoch(query, channelId));
      }
    },

    async heads(channelIds) {
      return registers.heads(db.query, channelIds);
    },

    async hasPages(channelIds) {
      const pages = new Set((await db.query(SQL.hasPages, channelIds)).map(({ name }) => name));
      return channelIds.map((channelId) => pages.has(channelId));
    },

    async createPage({ channelId, title }, { idempotencyKey: key } = {}) {
      checkId(channelId, "channelId");
      return db.write(async (query) => {
        const request = { channel: channelId, action: "page", key, body: () => ({ channelId, title }) };
        const value = await registers.once(query, request, async () => {
          const channel = await registers.lockOrAdd(query, channelId);
          if (channel.row.title !== null) throw refuse.pageExists(channelId);
          await registers.begin(query, channel);
          await query(SQL.addPage, channel.id, title, Date.now());
          return rowToPage(await pageRow(query, channelId));
        });
        const [cursor] = await registers.heads(query, [channelId]);
        return { value, announcement: { cursor: cursor! } };
      });
    },

    async getPage(channelId) {
      return rowToPage(await pageRow(db.query, channelId));
    },

    async listPages(options = {}) {
      const { created, name } = pagesAfter(options);
      const rows = await db.query(SQL.pages, created, name, limitOf(options) + 1);
      return pagesPart(rows.map(rowToPage), options);
    },

    async updatePage(channelId, { title }) {
      return db.write(async (query) => {
        const { id, row } = await lockPage(query, channelId);
        if (row.title !== title) await query(SQL.setTitle, id, title, Date.now());
        return rowToPage(await pageRow(query, channelId));
      });
    },

    async deletePage(channelId) {
      return db.write(async (query) => {
        await registers.forget(query, await lockPage(query, channelId));
        return { value: null, announcement: { cursor: headOf(registers.nothing) } };
      });
    },

    async createPost(channelId, post, { idempotencyKey: key } = {}) {
      const id = newPostId(post);
      return db.write(async (query) => {
        const channel = await lockPage(query, channelId);
        let announcement: Announcement = { cursor: headOf(channel) };
        const request = { channel: channelId, action: "post", key, body: () => post };
        const value = await registers.once(query, request, async () => {
          if (await findPost(query, channel.id, id)) throw refuse.postExists(id);
          const change = await put(query, channel, newPost(id, post));
          announcement = change.announcement;
          return change.value;
        });
        return { value, announcement };
      });
    },

    async getPost(channelId, postId) {
      return db.read(async (query) => {
        const { id } = toChannel(await pageRow(query, channelId));
        const post = await findPost(query, id, postId);
        if (!post) throw refuse.noPost(postId);
        return post;
      });
    },

    async listPosts(channelId, options = {}) {
      const after = postsAfter(options);
      return db.read(async (query) => {
        const { id } = toChannel(await pageRow(query, channelId));
        const rows = await query(SQL.posts, id, after, limitOf(options) + 1);
        return postsPart(rows.map(toPost), options);
      });
    },

    async updatePost(channelId, postId, patch, condition) {
      return db.write(async (query) => {
        const channel = await lockPage(query, channelId);
        const current = await lockPost(query, channel, postId, condition);
        const next = patchPost(current, patch);
        if (next) return put(query, channel, next, current);
        return { value: current, announcement: { cursor: headOf(channel) } };
      });
    },

    async deletePost(channelId, postId, condition) {
      return db.write(async (query) => {
        const channel = await lockPage(query, channelId);
        const { show } = await lockPost(query, channel, postId, condition);
        await query(SQL.dropPost, channel.id, postId, Date.now(), -Number(show));
        return {
          value: null,
          announcement: await registers.append(query, channel, draftUpdate([], [postId])),
        };
      });
    },

    async viewPage(channelId) {
      return db.read(async (query) => {
        const row = await pageRow(query, channelId);
        const page = rowToPage(row);
        const posts = await registers.view(query, toChannel(row));
        return {
          page,
          cursor: page.cursor,
          posts: posts.map(({ id, at, show, content }) => ({ id, at, show, content })),
        };
      });
    },

    async addImage(description, bytes, { idempotencyKey: key } = {}) {
      const { type, width, height } = description;
      const body = () => ({ ...description, bytes: createHash("sha256").update(bytes).digest("hex") });
      return db.write((query) =>
        registers.once(query, { channel: "", action: "image", key, body }, async () => {
          const image: Image = { id: randomUUID(), type, width, height, created: Date.now() };
          await query(SQL.addImage, image.id, type, width, height, image.created, bytes);
          return image;
        }),
      );
    },

    async getImage(id) {
      const [row] = await db.query(SQL.image, id);
      if (!row) throw refuse.noImage(id);
      return toImage(row);
    },

    async readImage(id) {
      const [row] = await db.query(SQL.imageBytes, id);
      if (!row) throw refuse.noImage(id);
      return { image: toImage(row), bytes: row.bytes as Uint8Array };
    },

    async secret(name, make) {
      return db.write((query) => registers.meta(query, `secret ${name}`, make));
    },

    async close() {
      endPurge();
      await db.close();
    },
  };
}
