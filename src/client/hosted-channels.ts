/** What a page is called at a hosted service: both its ends have to say the same. Pure functions. */

/** The longest name that Pusher takes. */
export const MAX_PUSHER_CHANNEL = 164;
/** The longest name that PieSocket takes. */
export const MAX_PIESOCKET_ROOM = 30;

/**
 * The Pusher channel of a page: its id, where `=` and two hexadecimal digits stand for each byte (UTF-8) that Pusher
 * does not allow, and for the first letter of an id that begins like one of Pusher's special channels.
 *
 * @example
 * pusherChannel("finals"); // "finals"
 * pusherChannel("été 2"); // "=C3=A9t=C3=A9=202"
 */
export function pusherChannel(channelId: string): string {
  const name = escapeWith("=", channelId, /[^\w\-=@,.;]/gu);
  return /^(?:private|presence|cache)-/.test(name) ? bytesOf("=", name[0]!) + name.slice(1) : name;
}

/**
 * The PieSocket room of a page: its id, where `_` and two hexadecimal digits stand for each byte (UTF-8) that
 * PieSocket does not allow.
 *
 * @example
 * pieSocketRoom("-100123"); // "-100123"
 * pieSocketRoom("cup final"); // "cup_20final"
 */
export function pieSocketRoom(channelId: string): string {
  return escapeWith("_", channelId, /[^\w-]/gu);
}

/** Of the ids that need no escape, only one that reads like an escape gets one: so no two ids have one name. */
function escapeWith(mark: string, id: string, disallowed: RegExp): string {
  return id
    .replace(new RegExp(`${mark}(?=[0-9A-F]{2})`, "g"), bytesOf(mark, mark))
    .replace(disallowed, (character) => bytesOf(mark, character));
}

function bytesOf(mark: string, character: string): string {
  const hex = (byte: number) => mark + byte.toString(16).toUpperCase().padStart(2, "0");
  return Array.from(new TextEncoder().encode(character), hex).join("");
}
