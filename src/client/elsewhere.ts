/** Posts of a page that is elsewhere: made fit to be shown in this one. */
import { LivePosts, preparations } from "./posts.ts";

// What posts of another origin may hold: what Tidings renders (pages/render.ts, pages/sanitize.ts), and what else of
// rich text can neither run nor reach out of its place. What is not named here does not come along.

const ELEMENTS =
  /^(?:article|section|header|footer|div|p|br|h[1-6r]|blockquote|pre|[uo]l|li|dl|d[td]|a|span|time|strong|b|em|i|u|s|q|cite|mark|small|abbr|kbd|ins|del|su[bp]|code|figure|figcaption|picture|img|source|iframe|details|summary|table|caption|thead|tbody|tfoot|t[rhd])$/;

/** What may be a post itself; anything else is put into one. */
const ROOTS = /^(?:article|div)$/;

/** What is in these is no text, and goes with them. Of others that are not allowed only the tags go. */
const NO_TEXT = /^(?:script|style|noscript|template|svg|math)$/;

// No `id` and `name`, which shadow variables of the site's scripts, and no `data-*`, in which those may look for
// orders. `class` stays, for the site's styles.
const ATTRIBUTES =
  /^(?:class|lang|dir|title|alt|width|height|loading|decoding|datetime|start|reversed|open|hidden|role|aria-label|sizes|colspan|rowspan|scope|rel)$/;

/** Attributes of a player, and the words that they may hold: those of ours (pages/embeds.ts). */
const WORDS = new Map([
  [
    "sandbox",
    "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-presentation",
  ],
  ["allow", "fullscreen; encrypted-media; picture-in-picture"],
  ["referrerpolicy", "strict-origin-when-cross-origin"],
]);

/**
 * The list of the page at `page`, made fit for this document, as will be what comes into it later. Of another origin,
 * it is a list of our own with copies of its posts, unless the site itself had put it into this document.
 */
export function settleIn(list: HTMLElement, page: URL): HTMLElement {
  if (preparations.has(list)) return list;
  const isOurs = page.origin === location.origin;
  const prepare = isOurs ? (post: HTMLElement) => resolve(post, page) : copier(page);
  let fit = list;
  if (!isOurs && list.ownerDocument !== document) {
    fit = document.createElement("div");
    const { channelId, cursor = "" } = list.dataset;
    Object.assign(fit.dataset, { channelId, cursor });
  }
  preparations.set(fit, prepare);
  if (isOurs) prepare(list);
  // What is fit already stays: a frame would load again.
  else new LivePosts(fit).reconcile(list);
  return fit;
}

/** Makes the relative URLs in a post of the page at `page` absolute. */
function resolve(post: HTMLElement, page: URL): HTMLElement {
  for (const element of [post, ...post.querySelectorAll("*")]) {
    for (const attribute of element.attributes) {
      // As in `xlink:href`.
      const { localName, value } = attribute;
      let url = value;
      if (/^(?:src|href|poster|cite|action|formaction|data)$/.test(localName)) {
        // A place in the same document stays one: what it leads to came along. What is absolute stays as it is written.
        if (!value.startsWith("#")) url = absolute(value, page);
      } else if (localName === "srcset") url = absoluteSet(value, page);
      // Setting it anew, the same, would load a frame again.
      if (url !== value) attribute.value = url;
    }
  }
  return post;
}

/**
 * Makes a function that copies posts of the page at `page`, which is of another origin, with what is allowed in
 * them: into new elements, so that nothing comes along unseen. A copy of a copy is equal to it.
 */
function copier(page: URL): (post: HTMLElement) => HTMLElement {
  // Nothing loads in it, and no element of the site's own comes to life.
  const inert = document.implementation.createHTMLDocument();

  const inside = (element: Element) => [...element.childNodes].flatMap(copy);

  function copy(node: Node): (Node | string)[] {
    if (node instanceof Text) return [node.data];
    // A field of a form may be called as anything that is asked of it here.
    if (!(node instanceof Element) || node instanceof HTMLFormElement) return [];
    if (NO_TEXT.test(node.localName)) return [];
    if (!ELEMENTS.test(node.localName)) return inside(node);
    const element = copyElement(node);
    if (element.localName === "iframe") {
      // Always in a sandbox, and never with a document of the site itself.
      const src = element.getAttribute("src");
      if (
        !element.hasAttribute("sandbox") ||
        !src?.startsWith("http") ||
        src.startsWith(`${location.origin}/`)
      )
        return [];
    }
    return [element];
  }

  function copyElement(element: Element): HTMLElement {
    const copy = inert.createElement(element.localName);
    for (const { name, value } of element.attributes) {
      const permitted = permit(name, value, page);
      if (permitted !== undefined) copy.setAttribute(name, permitted);
    }
    copy.append(...inside(element));
    return copy;
  }

  return (post) => {
    let root: HTMLElement;
    if (ROOTS.test(post.localName)) root = copyElement(post);
    else {
      root = inert.createElement("div");
      root.className = "live-post";
      root.append(...copy(post));
    }
    root.dataset.postId = post.dataset.postId!;
    return root;
  };
}

/** What an attribute may say of what it says; `undefined`: nothing. */
function permit(name: string, value: string, page: URL): string | undefined {
  if (/^(?:href|src)$/.test(name)) {
    // As URLs write themselves: "https:logout" as it is would be relative on a page over https.
    const url = parse(value, page)?.href;
    return url && /^(?:https?|mailto|tel):/.test(url) ? url : undefined;
  }
  if (name === "srcset") return absoluteSet(value, page);
  const words = WORDS.get(name)?.split(" ");
  if (words) return value.replace(/\S+/g, (word) => (words.includes(word) ? word : "")).trim();
  return ATTRIBUTES.test(name) ? value : undefined;
}

function absolute(url: string, page: URL): string {
  return parse(url) ? url : (parse(url, page)?.href ?? url);
}

function absoluteSet(set: string, page: URL): string {
  return set.replace(/([^\s,]\S*[^\s,])(\s+[^,]+)?/g, (_, url, size = "") => absolute(url, page) + size);
}

/** `url`, when it is one: absolute, or by `base`. */
export function parse(url: string, base?: URL | string): URL | undefined {
  try {
    return new URL(url, base);
  } catch {
    return undefined;
  }
}
