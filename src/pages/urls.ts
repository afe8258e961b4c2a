/** Which URLs may come from outside, and what becomes of them. */

/** What links to elsewhere say of themselves: no window handle, no endorsement. */
export const LINK_REL = "noopener nofollow ugc";

/**
 * The URL in its canonical form when it is absolute and of one of the schemes; else `null`. Canonical, every
 * browser reads the same scheme and host in it. A user name (`https://bank.example@evil.example`) is left out.
 *
 * @example
 * safeUrl("HTTPS://example.com/a b"); // "https://example.com/a%20b"
 * safeUrl("java\nscript:alert(1)"); // null
 */
export function safeUrl(text: string, schemes: readonly string[] = ["http:", "https:"]): string | null {
  const url = URL.parse(text);
  if (url === null || !schemes.includes(url.protocol)) return null;
  url.username = "";
  url.password = "";
  return url.href;
}

const IMAGE_ID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Whether the value is the id of an uploaded picture: a UUID in lower case. */
export function isImageId(value: string): boolean {
  return IMAGE_ID.test(value);
}

/** The id in a path such as `/images/<id>`, where uploaded pictures are served; else `null`. */
export function imageIdOfPath(path: string): string | null {
  const id = path.startsWith("/images/") ? path.slice("/images/".length) : "";
  return isImageId(id) ? id : null;
}
