import type { Render } from "../protocol.ts";
import { scrollKeeper } from "./scroll.ts";

/** What an update did to the page, as its reader sees it. */
export interface LiveUpdate {
  /** The `.live-post` elements that are shown now and were not before (new, or shown again), oldest first. */
  readonly added: readonly HTMLElement[];
  /** The new `.live-post` elements of posts that were shown before with another content. */
  readonly changed: readonly HTMLElement[];
  /** The ids of posts that were shown and no longer are (removed, or hidden). */
  readonly removed: readonly string[];
}

/** A post to be put in its place; Wagtail Live's own servers give no `at`. */
interface Put {
  readonly show: boolean;
  readonly content: string | HTMLElement;
  readonly at?: number | undefined;
}

/** A post on the page. */
interface Known {
  readonly wrapper: HTMLElement;
  /** Its HTML as it came. The page's own scripts may have changed the element since (a local time, an open
   *  `<details>`), and that does not make it another post. */
  html: string;
}

const WRAPPER = "live-post-wrapper";

/** By list: what makes of each post the one that is shown. For the posts of a page that is elsewhere (elsewhere.ts). */
export const preparations: WeakMap<HTMLElement, (post: HTMLElement) => HTMLElement> = new WeakMap();

/** The posts of a page's list, `#live-posts > .live-post-wrapper[data-at] > .live-post[data-post-id]`. */
export class LivePosts {
  readonly #list: HTMLElement;
  readonly #keepScroll: (change: () => void) => void;
  // By id in a Map and never by selector: an id may hold quotes, or be `__proto__`.
  readonly #known = new Map<string, Known>();
  #hasWarned = false;

  constructor(list: HTMLElement) {
    this.#list = list;
    this.#keepScroll = scrollKeeper(list);
    for (const [id, wrapper, post] of postsIn(list)) this.#known.set(id, { wrapper, html: post.outerHTML });
  }

  /** Applies an update: renders first, then removals. */
  apply(renders: Readonly<Record<string, Render>>, removals: readonly string[]): LiveUpdate {
    // JSON.parse puts ids that look like integers first: only `at` tells the order.
    const puts = Object.entries(renders).sort(([, a], [, b]) => a.at - b.at || 0);
    return this.#change(puts, removals);
  }

  /** Makes the posts equal to those of another copy of the list; what is equal already is left alone. */
  reconcile(copy: HTMLElement): LiveUpdate {
    const found = [...postsIn(copy)];
    // A site's own template that has the posts otherwise: what was not found there is not gone.
    if (!found[0] && copy.querySelector("[data-post-id]")) {
      if (!this.#hasWarned) console.warn(`[tidings] [client] posts without .${WRAPPER}: cannot catch up`);
      this.#hasWarned = true;
      return this.#change([], []);
    }
    const gone = new Set(this.#known.keys());
    const puts = found.map(([id, { hidden, dataset }, content]): [string, Put] => {
      gone.delete(id);
      return [id, { show: !hidden, content, at: dataset.at === undefined ? undefined : Number(dataset.at) }];
    });
    return this.#change(puts.reverse(), gone, () => {
      let next = wrapperFrom(this.#list.firstElementChild);
      for (const [id, { dataset }] of found) {
        const { wrapper } = this.#known.get(id)!;
        if (dataset.at !== undefined) wrapper.dataset.at = dataset.at;
        // The site orders them by itself: places given since then were of a history that is over.
        else delete wrapper.dataset.at;
        if (wrapper === next) next = wrapperFrom(next.nextElementSibling);
        else this.#list.insertBefore(wrapper, next);
      }
    });
  }

  #change(puts: readonly [string, Put][], removals: Iterable<string>, order = () => {}): LiveUpdate {
    const added: HTMLElement[] = [];
    const changed: HTMLElement[] = [];
    const removed: string[] = [];
    this.#keepScroll(() => {
      for (const [id, put] of puts) {
        const wasShown = this.#known.get(id)?.wrapper.hidden === false;
        const [post, isNew] = this.#put(id, put);
        if (put.show) {
          if (!wasShown) added.push(post);
          else if (isNew) changed.push(post);
        } else if (wasShown) removed.push(id);
      }
      for (const id of removals) {
        const wrapper = this.#known.get(id)?.wrapper;
        if (wrapper?.hidden === false) removed.push(id);
        wrapper?.remove();
        this.#known.delete(id);
      }
      order();
    });
    return { added, changed, removed };
  }

  #put(id: string, { show, content, at }: Put): [post: HTMLElement, isNew: boolean] {
    let post = typeof content === "string" ? parsePost(id, content) : content;
    post = preparations.get(this.#list)?.(post) ?? post;
    const html = post.outerHTML;
    const known = this.#known.get(id) ?? { wrapper: newWrapper(), html: "" };
    const { wrapper } = known;
    const old = postIn(wrapper);
    const isNew = !old || known.html !== html;
    if (isNew) wrapper.replaceChildren(post);
    else post = old;
    known.html = html;
    this.#known.set(id, known);
    wrapper.hidden = !show;

    const { dataset, parentNode } = wrapper;
    // A known post without a place is one of a site that orders its HTML by itself: it keeps where it is.
    const moved = at !== undefined && dataset.at !== undefined && Number(dataset.at) !== at;
    if (moved || parentNode !== this.#list) {
      if (at !== undefined) dataset.at = `${at}`;
      this.#list.insertBefore(wrapper, this.#firstBelow(at));
    }
    return [post, isNew];
  }

  /** The wrapper that a post at `at` goes before. New posts are near the top, so the walk is short. */
  #firstBelow(at = Number.NaN): HTMLElement | null {
    let wrapper = wrapperFrom(this.#list.firstElementChild);
    while (wrapper && Number(wrapper.dataset.at) >= at) wrapper = wrapperFrom(wrapper.nextElementSibling);
    return wrapper;
  }
}

function newWrapper(): HTMLElement {
  const wrapper = document.createElement("div");
  wrapper.className = WRAPPER;
  return wrapper;
}

/** `element`, or its next sibling that is a post's wrapper: a site may have put other things between them. */
function wrapperFrom(element: Element | null): HTMLElement | null {
  while (element && !element.classList.contains(WRAPPER)) element = element.nextElementSibling;
  return element as HTMLElement | null;
}

function postIn(wrapper: HTMLElement): HTMLElement | null {
  return wrapper.querySelector<HTMLElement>("[data-post-id]");
}

function* postsIn(list: HTMLElement): Generator<[id: string, wrapper: HTMLElement, post: HTMLElement]> {
  for (
    let wrapper = wrapperFrom(list.firstElementChild);
    wrapper;
    wrapper = wrapperFrom(wrapper.nextElementSibling)
  ) {
    const post = postIn(wrapper);
    if (post) yield [post.dataset.postId!, wrapper, post];
  }
}

/** The post's element; a site's own HTML that has none is put into one. */
function parsePost(id: string, html: string): HTMLElement {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  const root = template.content.firstChild;
  if (
    root instanceof HTMLElement &&
    // One that hides what it is asked behind its fields.
    !(root instanceof HTMLFormElement) &&
    !root.nextSibling &&
    root.classList.contains("live-post") &&
    root.dataset.postId === id
  ) {
    return root;
  }
  // Of the same document, in which nothing is loaded before it is prepared.
  const post = template.content.ownerDocument.createElement("div");
  post.className = "live-post";
  post.dataset.postId = id;
  post.append(template.content);
  return post;
}
