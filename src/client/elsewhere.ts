/** Posts of a page that is elsewhere: made fit to be shown in this one. */

/** What runs, restyles or redirects the page that it is in, and pages in pages without end. */
const UNFIT = "script, style, link, meta, base, object, embed, template, animate, set, live-page";
const URLS = /^(?:src|href|poster|cite|action|formaction|data)$/;

/**
 * Makes a function that prepares posts of the page at `page`: relative URLs become absolute, and, unless it is of
 * our own origin, nothing in them runs as a script of ours. Doing it twice changes nothing more.
 */
export function preparation(page: URL): (post: HTMLElement) => void {
  const isOurs = page.origin === location.origin;

  return (post) => {
    if (!isOurs) for (const element of post.querySelectorAll(UNFIT)) element.remove();
    for (const element of [post, ...post.querySelectorAll("*")]) {
      for (const attribute of [...element.attributes]) {
        // As in `xlink:href`.
        const { localName: name, value } = attribute;
        const isUrl = URLS.test(name);
        const url = isUrl ? absolute(value, page) : name === "srcset" ? absoluteSet(value, page) : value;
        // Setting it anew, the same, would load a frame again.
        if (url !== value) attribute.value = url;
        if (!isOurs && (/^on|^srcdoc$/.test(name) || (isUrl && parse(url)?.protocol === "javascript:"))) {
          element.removeAttributeNode(attribute);
        }
      }
    }
  };
}

/** A place in the same document stays one: what it leads to came along. What is absolute stays as it is written. */
function absolute(url: string, page: URL): string {
  return url.startsWith("#") || parse(url) ? url : (parse(url, page)?.href ?? url);
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
