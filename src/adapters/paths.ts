/** The transports that have a path of their own, by the name in it. */
export type PathKind = "ws" | "sse" | "updates";

const PATH = /^\/(ws|sse|updates)\/channel\/([^/?]+)\/$/;

/** A larger message of a reader closes with 1009; a library that is told need not take it in first. */
export const MAX_MESSAGE_BYTES = 4096;

/** Where a reader wants to join, not checked yet: the hub does that. */
export interface Place {
  readonly channel: string;
  readonly cursor: string | null;
  readonly query: URLSearchParams;
}

/**
 * What the path and query of a request ask for by PROTOCOL.md; `null` when they ask for something else.
 *
 * @example
 * placeOf("/live/ws/channel/caf%C3%A9/?cursor=k3Zq.17", "/live"); // { channel: "café", cursor: "k3Zq.17", query }
 */
export function placeOf(url: string, base = "", kind: PathKind = "ws"): Place | null {
  const [path = "", search = ""] = url.split("?", 2);
  const [, found, channel] = (path.startsWith(base) && PATH.exec(path.slice(base.length))) || [];
  if (found !== kind) return null;
  const query = new URLSearchParams(search);
  return { channel: decode(channel!), cursor: query.get("cursor"), query };
}

/** Empty, and hence no channel id, for what is no percent-encoded UTF-8. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return "";
  }
}
