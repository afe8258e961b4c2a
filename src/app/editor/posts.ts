/** A page's posts, newest first, kept as they are on the server. */
import type { Page, Post } from "../../pages/model.ts";
import { ApiError, getPage, getPost, listPosts } from "./api.ts";
import { button, h, showError } from "./dom.ts";
import { draftedPosts, dropDraft, readDraft } from "./drafts.ts";
import { type PostItem, postItem } from "./post.ts";
import { type Watch, watch } from "./watch.ts";

export interface PostList {
  readonly element: HTMLElement;
  /** Shows a post that was made here, at its place. */
  add(post: Post): void;
  close(): void;
}

export interface PostListEvents {
  /** The page as it is now; `null`: it was deleted. */
  page(page: Page | null): void;
  /** The text of an edit whose post is gone. */
  orphan(content: Post["content"]): void;
}

export function postList(channelId: string, events: PostListEvents): PostList {
  const items = new Map<string, PostItem>();
  const dirty = new Set<string>();
  let all = false;
  let next: string | null = null;
  let working = false;
  let closed = false;
  let live: Watch | null = null;

  const list = h("ol", { class: "posts" });
  const empty = h(
    "p",
    { class: "empty", hidden: true },
    "No posts yet. What you publish appears here, and to every reader at once.",
  );
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const state = h("p", { class: "state", role: "status" });
  const more = button("Load more", loadMore, { class: "more", hidden: true });
  const element = h(
    "section",
    { "aria-label": "Posts" },
    h("h2", {}, "Posts"),
    state,
    error,
    empty,
    list,
    more,
  );

  // --- the list ------------------------------------------------------------------------------------------

  function put(post: Post): void {
    const known = items.get(post.id);
    if (known) {
      known.update(post);
      return;
    }
    const item = postItem(channelId, post, {
      orphan: events.orphan,
      removed: (gone) => {
        items.delete(gone.post.id);
        arrange();
      },
    });
    items.set(post.id, item);
    let before = post.at < oldest() ? null : list.firstElementChild;
    while (before !== null && atOf(before) > post.at) before = before.nextElementSibling;
    list.insertBefore(item.element, before);
    item.element.dataset.at = String(post.at);
    arrange();
  }

  function atOf(element: Element): number {
    return Number((element as HTMLElement).dataset.at);
  }

  function oldest(): number {
    return list.lastElementChild === null ? Number.POSITIVE_INFINITY : atOf(list.lastElementChild);
  }

  function arrange(): void {
    more.hidden = next === null;
    empty.hidden = items.size > 0 || next !== null || live === null;
  }

  async function loadMore(): Promise<void> {
    if (next === null || more.disabled) return;
    more.disabled = true;
    try {
      const part = await listPosts(channelId, next);
      if (closed) return;
      next = part.next;
      for (const post of part.items) put(post);
      showError(error, null);
      // Watched anew: if the end is still near, it never left and nothing would say that it came.
      nearEnd.unobserve(more);
      nearEnd.observe(more);
    } catch (failure) {
      showError(error, failure);
    } finally {
      more.disabled = false;
      arrange();
    }
  }

  const nearEnd = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) void loadMore();
    },
    { rootMargin: "800px" },
  );
  nearEnd.observe(more);

  // --- as on the server ----------------------------------------------------------------------------------

  /** One at a time: the last look at a post begins after the last word of its change, so it shows the newest. */
  async function work(): Promise<void> {
    if (working) return;
    working = true;
    try {
      while (!closed && (all || dirty.size > 0)) {
        if (all || dirty.size > 50) await reload();
        else await look([...dirty][0]!);
      }
      if (!closed) showError(error, null);
    } catch (failure) {
      if (closed) return;
      if (failure instanceof ApiError && failure.code === "not_found") return events.page(null);
      showError(error, failure);
      // Whatever was not seen yet is still marked; the next change or connection looks again, or this does.
      setTimeout(work, 5000);
    } finally {
      working = false;
    }
  }

  async function look(id: string): Promise<void> {
    dirty.delete(id);
    try {
      const post = await getPost(channelId, id);
      if (!closed && (items.has(id) || next === null || post.at > oldest())) put(post);
    } catch (failure) {
      if (failure instanceof ApiError && failure.code === "not_found") return items.get(id)?.gone();
      dirty.add(id);
      throw failure;
    }
  }

  /** Reads what is shown anew: the page first, so that its cursor is not ahead of its posts. */
  async function reload(): Promise<void> {
    all = false;
    dirty.clear();
    try {
      const page = await getPage(channelId);
      const shown = [...items.values()];
      const bottom = oldest();
      const seen = new Set<string>();
      let last = Number.POSITIVE_INFINITY;
      let after: string | null = null;
      do {
        const part: Awaited<ReturnType<typeof listPosts>> = await listPosts(channelId, after);
        if (closed) return;
        for (const post of part.items) {
          put(post);
          seen.add(post.id);
          last = post.at;
        }
        after = part.next;
      } while (after !== null && last > bottom);
      if (!more.disabled) next = after;
      for (const item of shown) {
        const looked = after === null || item.post.at >= last;
        if (looked && !seen.has(item.post.id)) item.gone();
      }
      events.page(page);
      live ??= watch(channelId, page.cursor, {
        changed: (ids) => {
          for (const id of ids) dirty.add(id);
          void work();
        },
        reset: refresh,
        live: (on) => {
          state.textContent = on
            ? ""
            : "No connection: what others publish may be missing here. Reconnecting…";
        },
      });
      arrange();
      await findOrphans();
    } catch (failure) {
      all = true;
      throw failure;
    }
  }

  /** An edit begun before the tab was closed, whose post has been deleted since, is not lost. */
  async function findOrphans(): Promise<void> {
    for (const id of draftedPosts(channelId)) {
      if (items.has(id)) continue;
      try {
        await getPost(channelId, id);
      } catch (failure) {
        if (!(failure instanceof ApiError && failure.code === "not_found")) continue;
        events.orphan(readDraft(channelId, id)?.content ?? []);
        dropDraft(channelId, id);
      }
    }
  }

  function refresh(): void {
    all = true;
    void work();
  }

  // Edits of hidden posts are not announced to readers: a look on return finds them.
  function onReturn(): void {
    if (document.visibilityState === "visible") refresh();
  }
  document.addEventListener("visibilitychange", onReturn);

  refresh();
  return {
    element,
    add: put,
    close() {
      closed = true;
      live?.close();
      nearEnd.disconnect();
      document.removeEventListener("visibilitychange", onReturn);
    },
  };
}
