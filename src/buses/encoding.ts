/** An announcement as the text that a bus carries from process to process. */
import { type Announcement, decodeUpdate, encodeUpdate } from "../protocol.ts";

/**
 * The text of an announcement: a whole update as readers get it, or, marked as `bare`, its cursor alone.
 *
 * @example
 * encodeAnnouncement({ cursor: "k3Zq.18" }); // {"renders":{},"removals":[],"cursor":"k3Zq.18","bare":true}
 */
export function encodeAnnouncement(announcement: Announcement): string {
  if ("renders" in announcement) return encodeUpdate(announcement);
  return `{"renders":{},"removals":[],"cursor":${JSON.stringify(announcement.cursor)},"bare":true}`;
}

/**
 * Reads an announcement back; throws `invalid` when the text is none. An update without content is taken for its
 * cursor alone, marked or not: no log makes one, and whoever reads the log instead is right in any case.
 */
export function decodeAnnouncement(text: string): Announcement {
  const entry = decodeUpdate(text);
  return entry.renders.size + entry.removals.length > 0 ? entry : { cursor: entry.cursor };
}
