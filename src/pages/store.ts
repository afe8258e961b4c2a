import type { Log } from "../logs/log.ts";
import type { Announcement, Cursor, Render } from "../protocol.ts";
import type { Block, Image, Page, Post } from "./model.ts";

/** A change that was made, and what to tell the bus of it. */
export interface Change<T> {
  readonly value: T;
  readonly announcement: Announcement;
}

export interface ChangeOptions {
  /** The same key again makes no second change: it answers with what the first one made. With another
   *  request: `key_reused`. Keys are kept for a day at least. */
  readonly idempotencyKey?: string | undefined;
}

export interface NewPage {
  readonly channelId: string;
  readonly title: string;
}

export interface NewPost {
  readonly content: readonly Block[];
  /** Default `true`. */
  readonly show?: boolean | undefined;
  /** Default: a UUID. Taken already: `conflict`. */
  readonly id?: string | undefined;
  /** When it was written, if not now; its place is the newest all the same. */
  readonly created?: number | undefined;
}

export interface PostPatch {
  readonly content?: readonly Block[] | undefined;
  readonly show?: boolean | undefined;
}

/** `versions`: change it only if its version is one of these, else `stale`. */
export interface Condition {
  readonly versions?: readonly string[] | undefined;
}

/** A part of a list; `next` is the `after` of the following part, `null` at the end. */
export interface Part<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface ListOptions {
  /** Default 50. */
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}

/** A page as its readers get it; one snapshot, so `cursor` says exactly what `posts` hold. */
export interface PageView {
  readonly page: Page;
  readonly cursor: Cursor;
  /** Newest first. A hidden post is there with an empty `content`. */
  readonly posts: readonly RenderedPost[];
}

export interface RenderedPost extends Render {
  readonly id: string;
}

/** Uploaded pictures. */
export interface ImageStore {
  addImage(image: Omit<Image, "id" | "created">, bytes: Uint8Array, options?: ChangeOptions): Promise<Image>;
  /** Rejects with `not_found`, as {@link readImage} does. */
  getImage(id: string): Promise<Image>;
  readImage(id: string): Promise<{ image: Image; bytes: Uint8Array }>;
}

/** Small values that all processes of a site share. */
export interface SecretStore {
  /** The value kept under `name`; when there is none, keeps and returns `make()`. Two processes get one value. */
  secret(name: string, make: () => string): Promise<{ value: string; made: boolean }>;
}

/**
 * Pages, posts and pictures. **A store is the log of its pages**: a change and its place in the page's
 * history are one transaction. For channels that are no stored page it is a plain log.
 * Pass `storeSuite` (and `logSuite`) of `tidings/testing` to be one.
 *
 * Every method rejects with a `TidingsError`: `not_found`, `conflict`, `stale`, `key_reused`, `unavailable`, `closed`.
 * A resolved promise means that the change is on disk.
 */
export interface PageStore extends Log, ImageStore, SecretStore {
  /** Whether each channel is a page of this store; `append` to one rejects with `conflict`. */
  hasPages(channelIds: readonly string[]): Promise<boolean[]>;
  createPage(page: NewPage, options?: ChangeOptions): Promise<Change<Page>>;
  getPage(channelId: string): Promise<Page>;
  /** Newest first. */
  listPages(options?: ListOptions): Promise<Part<Page>>;
  updatePage(channelId: string, patch: { readonly title: string }): Promise<Page>;
  /** Ends the page: its posts and its history are gone, and cursors of it no longer hold. */
  deletePage(channelId: string): Promise<Change<null>>;

  createPost(channelId: string, post: NewPost, options?: ChangeOptions): Promise<Change<Post>>;
  getPost(channelId: string, postId: string): Promise<Post>;
  /** Newest first, hidden ones too. */
  listPosts(channelId: string, options?: ListOptions): Promise<Part<Post>>;
  updatePost(
    channelId: string,
    postId: string,
    patch: PostPatch,
    condition?: Condition,
  ): Promise<Change<Post>>;
  deletePost(channelId: string, postId: string, condition?: Condition): Promise<Change<null>>;

  viewPage(channelId: string): Promise<PageView>;
}
