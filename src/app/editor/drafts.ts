/** What is being written, kept in this browser until it is published. */
import type { Block } from "../../pages/model.ts";
import type { NewPost } from "./api.ts";

export interface Draft {
  readonly content: readonly Block[];
  /** What the edit began from; absent for a new post. */
  readonly base?: { readonly content: readonly Block[]; readonly version: string };
  /** A publication whose answer never came: it is asked about again before anything new is sent. */
  readonly attempt?: { readonly key: string; readonly post: NewPost; readonly time: number } | undefined;
}

const PREFIX = "tidings.draft:";

function name(channelId: string, postId: string | null): string {
  return PREFIX + JSON.stringify([channelId, postId]);
}

/** The draft of a post, or of the page's new post (`null`). */
export function readDraft(channelId: string, postId: string | null): Draft | null {
  try {
    return JSON.parse(localStorage.getItem(name(channelId, postId)) ?? "null") as Draft | null;
  } catch {
    return null;
  }
}

/** Keeps the draft; `false` when the browser would not. */
export function writeDraft(channelId: string, postId: string | null, draft: Draft): boolean {
  try {
    localStorage.setItem(name(channelId, postId), JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export function dropDraft(channelId: string, postId: string | null): void {
  try {
    localStorage.removeItem(name(channelId, postId));
  } catch {
    // A browser that keeps nothing has nothing to drop.
  }
}

/** The posts of a page with an unfinished edit. */
export function draftedPosts(channelId: string): string[] {
  const posts: string[] = [];
  try {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(PREFIX)) continue;
      const [channel, post] = JSON.parse(key.slice(PREFIX.length)) as [string, string | null];
      if (channel === channelId && post !== null) posts.push(post);
    }
  } catch {
    // As above.
  }
  return posts;
}

// --- what would be lost on leaving -----------------------------------------------------------------------

const unsafe = new Set<object>();

/** Marks whether `owner` holds what leaving would lose: text the browser would not keep, a picture on its way. */
export function wouldLose(owner: object, lost: boolean): void {
  if (lost) unsafe.add(owner);
  else unsafe.delete(owner);
}

addEventListener("beforeunload", (event) => {
  if (unsafe.size > 0) event.preventDefault();
});
