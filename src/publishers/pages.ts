import type { Bus } from "../buses/bus.ts";
import type { Page, Post } from "../pages/model.ts";
import type {
  Change,
  ChangeOptions,
  Condition,
  NewPage,
  NewPost,
  PageStore,
  PostPatch,
} from "../pages/store.ts";
import { announce, type Follower, type OnError } from "./publisher.ts";

/** Changes to stored pages, each announced once it is on disk. Rejects as the store does. */
export interface PagePublisher {
  createPage(page: NewPage, options?: ChangeOptions): Promise<Page>;
  deletePage(channelId: string): Promise<void>;
  createPost(channelId: string, post: NewPost, options?: ChangeOptions): Promise<Post>;
  updatePost(channelId: string, postId: string, patch: PostPatch, condition?: Condition): Promise<Post>;
  deletePost(channelId: string, postId: string, condition?: Condition): Promise<void>;
}

export interface PagePublisherOptions {
  readonly store: PageStore;
  readonly bus: Bus;
  /** Hands each update to a publisher of your own, too, once it is on disk. */
  readonly delivery?: Follower | undefined;
  /** Told when the bus throws, against its contract. Default: `console.error`. */
  readonly onError?: OnError;
}

/**
 * The publisher of stored pages: the store is their log.
 *
 * @example
 * const pages = createPagePublisher({ store, bus });
 * await pages.createPost("finals", { content: [{ type: "text", value: "Goal!" }] });
 */
export function createPagePublisher(options: PagePublisherOptions): PagePublisher {
  const { store, bus, delivery, onError } = options;

  async function announced<T>(channelId: string, change: Promise<Change<T>>): Promise<T> {
    delivery?.follow(
      channelId,
      change.then(({ announcement }) => announcement),
    );
    const { value, announcement } = await change;
    announce(bus, channelId, announcement, onError);
    return value;
  }

  return {
    createPage: (page, options) => announced(page.channelId, store.createPage(page, options)),
    deletePage: async (channelId) => void (await announced(channelId, store.deletePage(channelId))),
    createPost: (channelId, post, options) =>
      announced(channelId, store.createPost(channelId, post, options)),
    updatePost: (channelId, postId, patch, condition) =>
      announced(channelId, store.updatePost(channelId, postId, patch, condition)),
    deletePost: async (channelId, postId, condition) =>
      void (await announced(channelId, store.deletePost(channelId, postId, condition))),
  };
}
