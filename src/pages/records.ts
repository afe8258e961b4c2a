/** What all page stores share: rows as posts and pages, parts of lists, a change's outcome, and what is refused. */
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { TidingsError } from "../errors.ts";
import type { Row } from "../logs/rows.ts";
import { type Cursor, checkId, type Draft, draftUpdate } from "../protocol.ts";
import type { Block, Image, Page, Post } from "./model.ts";
import { type RenderOptions, renderPost } from "./render.ts";
import type { Condition, ListOptions, NewPost, Part, PostPatch } from "./store.ts";

// --- rows ------------------------------------------------------------------------------------------------

export function toPage(row: Row, cursor: Cursor): Page {
  return {
    channelId: row.name as string,
    title: row.title as string,
    created: Number(row.created),
    modified: Number(row.modified),
    cursor,
    posts: Number(row.shown),
  };
}

export function toPost(row: Row): Post {
  return {
    id: row.id as string,
    created: Number(row.created),
    modified: Number(row.modified),
    show: Boolean(row.show),
    at: Number(row.at),
    content: JSON.parse(row.content as string) as Block[],
    version: row.version as string,
  };
}

export function toImage(row: Row): Image {
  return {
    id: row.id as string,
    type: row.type as Image["type"],
    width: Number(row.width),
    height: Number(row.height),
    created: Number(row.created),
  };
}

// --- changes ---------------------------------------------------------------------------------------------

/** A post that has no place and no version yet. */
export type PostDraft = Omit<Post, "at" | "version">;

export function newPostId(post: NewPost): string {
  return post.id === undefined ? randomUUID() : checkId(post.id, "id");
}

export function newPost(id: string, { content, show = true, created = Date.now() }: NewPost): PostDraft {
  return { id, created, modified: created, show, content };
}

/** The post as the patch makes it; `null` when that is what it is already. */
export function patchPost(current: Post, patch: PostPatch): PostDraft | null {
  const { id, created } = current;
  const { content = current.content, show = current.show } = patch;
  const isEdited = !isDeepStrictEqual(content, current.content);
  if (!isEdited && show === current.show) return null;
  const modified = isEdited ? Math.max(Date.now(), created + 1) : current.modified;
  return { id, created, modified, show, content };
}

/** What a post's change is to its page's readers. */
export function postUpdate(post: PostDraft, render: RenderOptions): Draft {
  const content = post.show ? renderPost({ ...post, at: 0, version: "" }, render) : "";
  return draftUpdate([{ id: post.id, show: post.show, content }]);
}

// --- lists -----------------------------------------------------------------------------------------------

const FAR = Number.MAX_SAFE_INTEGER;

/** Where a part of the list of pages begins: the first page older than that. */
export function pagesAfter({ after }: ListOptions): { created: number; name: string } {
  if (after === undefined) return { created: FAR, name: "" };
  const match = /^(\d{1,15})\.(.+)$/s.exec(after);
  if (!match) throw unknownAfter();
  return { created: Number(match[1]), name: match[2]! };
}

/** Where a part of a list of posts begins: the first post below that place. */
export function postsAfter({ after }: ListOptions): number {
  if (after === undefined) return FAR;
  if (!/^\d{1,15}$/.test(after)) throw unknownAfter();
  return Number(after);
}

function unknownAfter(): TidingsError {
  return new TidingsError("invalid", 'after must be the "next" of an earlier answer', { field: "after" });
}

export function limitOf({ limit = 50 }: ListOptions): number {
  return limit;
}

/** A part out of rows that were asked for with one more than the limit. */
export function pagesPart(pages: readonly Page[], options: ListOptions): Part<Page> {
  return part(pages, options, ({ created, channelId }) => `${created}.${channelId}`);
}

export function postsPart(posts: readonly Post[], options: ListOptions): Part<Post> {
  return part(posts, options, ({ at }) => String(at));
}

function part<T>(found: readonly T[], options: ListOptions, next: (last: T) => string): Part<T> {
  const limit = limitOf(options);
  const items = found.slice(0, limit);
  return { items, next: found.length > limit ? next(items.at(-1)!) : null };
}

// --- refusals --------------------------------------------------------------------------------------------

export interface Refusals {
  noPage(channelId: string): TidingsError;
  noPost(postId: string): TidingsError;
  noImage(id: string): TidingsError;
  pageExists(channelId: string): TidingsError;
  postExists(postId: string): TidingsError;
  isStoredPage(channelId: string): TidingsError;
  /** Throws `stale` unless the post is of a version that the condition names. */
  checkVersion(post: Post, condition?: Condition): void;
}

/** What a store refuses, in the same words whichever it is. */
export function refusals(where: string): Refusals {
  return {
    noPage: (id) => new TidingsError("not_found", `there is no page "${id}"`, { where }),
    noPost: (id) => new TidingsError("not_found", `there is no post "${id}"`, { where }),
    noImage: (id) => new TidingsError("not_found", `there is no picture "${id}"`, { where }),
    pageExists: (id) =>
      new TidingsError("conflict", `there is a page "${id}" already`, { where, field: "channelId" }),
    postExists: (id) =>
      new TidingsError("conflict", `there is a post "${id}" already`, { where, field: "id" }),
    isStoredPage: (id) =>
      new TidingsError("conflict", `"${id}" is a stored page: change its posts`, {
        where,
        field: "channelId",
      }),
    checkVersion({ id, version }, { versions } = {}) {
      if (!versions || versions.includes(version)) return;
      throw new TidingsError("stale", `post "${id}" has been changed since it was read`, { where });
    },
  };
}
