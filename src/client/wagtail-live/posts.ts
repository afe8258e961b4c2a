import type { Frame, Render } from "../../protocol.ts";
import { LivePage } from "../page.ts";
import { following } from "./publisher.ts";

/** A post as Wagtail Live sends it; older versions sent its HTML alone. */
type Value = string | { readonly show?: boolean; readonly content: string; readonly at?: number };

/** Without a publisher, for scripts that have connections of their own. */
let page: LivePage | undefined;

/** Shows an update: `renders`, then `removals`. One that has a cursor is shown once, however often it comes. */
export function processUpdates(data: {
  readonly renders?: Readonly<Record<string, Value>>;
  readonly removals?: readonly string[];
}): void {
  const renders = Object.entries(data.renders ?? {}).map(([id, value]) => [id, toRender(value)] as const);
  const frame = { ...data, renders: Object.fromEntries(renders), removals: data.removals ?? [] };
  const follower = following();
  if (follower) {
    page = undefined;
    follower.take(frame);
  } else {
    page ??= ownPage();
    page?.take(frame as Frame);
  }
}

/** Shows a post, new or changed. */
export function processPost(id: string, value: Value): void {
  processUpdates({ renders: { [id]: value } });
}

export function removeLivePost(id: string): void {
  processUpdates({ removals: [`${id}`] });
}

/** The post's element; `null` when it is not on the page. */
export function getPostByID(id: string): HTMLElement | null {
  return document.querySelector(`[data-post-id="${CSS.escape(id)}"]`);
}

/** The element that goes into the list for a post. */
export function createLivePostWrapper(value: Value): HTMLElement {
  const { show, content } = toRender(value);
  const wrapper = document.createElement("div");
  wrapper.className = "live-post-wrapper";
  wrapper.hidden = !show;
  wrapper.innerHTML = content;
  return wrapper;
}

/** Which posts a page has, for scripts that poll. */
export class LivePostsTracker {
  currentLivePosts: Set<string> = new Set();

  setLivePosts(ids: Iterable<string>): void {
    this.currentLivePosts = new Set(ids);
  }

  /** The posts that were there and are not among `ids`. */
  getLivePostsToDelete(ids: Iterable<string>): string[] {
    const there = new Set(ids);
    return [...this.currentLivePosts].filter((id) => !there.has(id));
  }
}

function toRender(value: Value): Omit<Render, "at"> {
  return typeof value === "string" ? { show: true, content: value } : { show: true, ...value };
}

function ownPage(): LivePage | undefined {
  const list = document.getElementById("live-posts");
  if (!list) return undefined;
  return new LivePage(list, () => location.href, {
    onUpdate() {},
    onSynced() {},
    onGone() {},
    onDoubt() {},
    onFailed: (error) =>
      queueMicrotask(() => {
        throw error;
      }),
  });
}
