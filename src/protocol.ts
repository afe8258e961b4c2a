/**
 * The words on the wire (PROTOCOL.md): ids, cursors, updates, frames. Pure functions, no I/O.
 */
import { TidingsError } from "./errors.ts";

// --- ids -------------------------------------------------------------------------------------------------

/** The longest channel id or post id, in UTF-16 code units. */
export const MAX_ID_LENGTH = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NOT_IN_AN_ID = /[/\u0000-\u001f\u007f-\u009f]/;

/**
 * Whether `value` may name a page or a post: 1–255 characters of well-formed Unicode, no `/`, no control
 * characters, neither `.` nor `..`.
 *
 * @example
 * isId("-100123"); // true
 * isId("a/b"); // false
 */
export function isId(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value.length > 0 &&
    value.length <= MAX_ID_LENGTH &&
    value !== "." &&
    value !== ".." &&
    !NOT_IN_AN_ID.test(value) &&
    value.isWellFormed()
  );
}

/** Returns `value` if {@link isId}, else throws `invalid` naming `field`. */
export function checkId(value: unknown, field: string): string {
  if (isId(value)) return value;
  throw new TidingsError(
    "invalid",
    `${field} must be 1 to ${MAX_ID_LENGTH} characters, without "/" and control characters, and not "." or ".."`,
    { field },
  );
}

// --- cursors ---------------------------------------------------------------------------------------------

/** A place in a page's history, as text: `<epoch>.<seq>`. */
export type Cursor = string;

/** A cursor taken apart. */
export interface CursorParts {
  readonly epoch: string;
  /** How many updates the page had seen: an integer from 0 to 2^53 - 1. */
  readonly seq: number;
}

const CURSOR = /^([\w-]{1,64})\.(0|[1-9]\d{0,15})$/;

/**
 * Takes a cursor apart; `null` when it is none.
 *
 * @example
 * parseCursor("k3Zq.17"); // { epoch: "k3Zq", seq: 17 }
 */
export function parseCursor(text: string | null | undefined): CursorParts | null {
  // A browser reads what its server sent, of any type.
  const match = typeof text === "string" ? CURSOR.exec(text) : null;
  if (!match) return null;
  const seq = Number(match[2]);
  return Number.isSafeInteger(seq) ? { epoch: match[1]!, seq } : null;
}

/** Puts a cursor together: `formatCursor("k3Zq", 17)` is `"k3Zq.17"`. */
export function formatCursor(epoch: string, seq: number): Cursor {
  return `${epoch}.${seq}`;
}

// --- updates ---------------------------------------------------------------------------------------------

/** One post as readers are shown it. */
export interface Render {
  /** `false`: hidden; readers get an empty shell in place of `content`. */
  readonly show: boolean;
  /** The whole post as HTML; empty when it is hidden. */
  readonly content: string;
  /** The post's place on its page: an integer; greater is newer. */
  readonly at: number;
}

/** What changed on a page. Renders are applied first, then removals. */
export interface Update {
  /** By post id; oldest place first. A Map, because an id may be `__proto__` or look like an integer. */
  readonly renders: ReadonlyMap<string, Render>;
  readonly removals: readonly string[];
}

/** An update with its place in the page's history. */
export interface Entry extends Update {
  readonly cursor: Cursor;
}

/** What is announced: the update itself, or a cursor alone, where the update is too large to carry or not at hand. */
export type Announcement = Entry | { readonly cursor: Cursor };

/** A post on its way to a log, which gives it its place. */
export interface DraftRender {
  readonly show: boolean;
  readonly content: string;
  /** An integer that grows with each edit of the post; a render with a lower one than is known is ignored. */
  readonly version?: number;
}

/** An update on its way to a log. Made by {@link draftUpdate}. */
export interface Draft {
  readonly renders: ReadonlyMap<string, DraftRender>;
  readonly removals: readonly string[];
}

/** Renders as callers write them: by id, as a Map, or as a list that keeps any order of ids. */
export type RendersInput =
  | Readonly<Record<string, DraftRender>>
  | ReadonlyMap<string, DraftRender>
  | readonly (DraftRender & { readonly id: string })[];

/**
 * Checks what a caller wants published, and drops the text of hidden posts. Throws `invalid` with the
 * culprit's path in `field`.
 *
 * @example
 * draftUpdate([{ id: "7", show: true, content: "<p>Goal!</p>" }], ["6"]);
 */
export function draftUpdate(renders: unknown, removals: unknown = []): Draft {
  const drafts = new Map<string, DraftRender>();
  for (const [id, render, path] of renderItems(renders)) {
    drafts.set(checkId(id, Array.isArray(renders) ? `${path}.id` : path), draftRender(render, path));
  }
  if (!Array.isArray(removals)) throw invalid("removals", "must be a list of post ids");
  removals.forEach((id, i) => {
    checkId(id, `removals.${i}`);
  });
  return { renders: drafts, removals: [...new Set<string>(removals)] };
}

function* renderItems(renders: unknown): Generator<[id: unknown, render: unknown, path: string]> {
  if (Array.isArray(renders)) {
    for (const [i, item] of renders.entries()) {
      yield [(item as { id?: unknown } | null)?.id, item, `renders.${i}`];
    }
  } else if (renders instanceof Map) {
    for (const [id, item] of renders) yield [id, item, `renders.${id}`];
  } else if (typeof renders === "object" && renders !== null) {
    for (const [id, item] of Object.entries(renders)) yield [id, item, `renders.${id}`];
  } else {
    throw invalid("renders", "must be an object of renders by post id, or a list of renders with ids");
  }
}

function draftRender(value: unknown, path: string): DraftRender {
  if (typeof value !== "object" || value === null) {
    throw invalid(path, "must be an object { show, content }");
  }
  const { show, content, version } = value as { show?: unknown; content?: unknown; version?: unknown };
  if (typeof show !== "boolean") throw invalid(`${path}.show`, "must be true or false");
  if (typeof content !== "string") throw invalid(`${path}.content`, "must be HTML as a string");
  // What no database gives back as it was: lone surrogates and, in PostgreSQL, U+0000. All logs are to agree.
  const html = show ? content.toWellFormed().replaceAll("\0", "\ufffd") : "";
  if (version === undefined) return { show, content: html };
  if (!Number.isSafeInteger(version)) throw invalid(`${path}.version`, "must be an integer");
  return { show, content: html, version: version as number };
}

function invalid(field: string, rule: string): TidingsError {
  return new TidingsError("invalid", `${field} ${rule}`, { field });
}

// --- frames ----------------------------------------------------------------------------------------------

/** The HTML that stands in for a hidden post: it keeps the id, and nothing else. */
export function hiddenShell(id: string): string {
  return `<div class="live-post" data-post-id="${id.replace(/[&"<>]/g, (c) => `&#${c.charCodeAt(0)};`)}"></div>`;
}

/**
 * The text frame for an update; without a cursor for readers that follow none.
 *
 * @example
 * encodeUpdate({ renders: new Map(), removals: ["7"], cursor: "k3Zq.18" });
 * // {"renders":{},"removals":["7"],"cursor":"k3Zq.18"}
 */
export function encodeUpdate(update: Update & { readonly cursor?: Cursor }): string {
  let renders = "";
  for (const [id, { show, content, at }] of update.renders) {
    const html = JSON.stringify(show ? content : hiddenShell(id));
    renders += `${renders && ","}${JSON.stringify(id)}:{"show":${show},"content":${html},"at":${at}}`;
  }
  const cursor = update.cursor === undefined ? "" : `,"cursor":${JSON.stringify(update.cursor)}`;
  return `{"renders":{${renders}},"removals":${JSON.stringify(update.removals)}${cursor}}`;
}

/** The text frame that says: nothing new, and this is the head. */
export function encodeHeartbeat(head: Cursor): string {
  return `{"renders":{},"removals":[],"cursor":${JSON.stringify(head)}}`;
}

/** The text frame that says: your cursor does not hold; the history goes on from `head`. */
export function encodeReset(head: Cursor): string {
  return `{"renders":{},"removals":[],"cursor":${JSON.stringify(head)},"reset":true}`;
}

/** The text frame before a planned close: come back after a random time in this window, in milliseconds. */
export function encodeRetry(minMs: number, maxMs: number): string {
  return `{"renders":{},"removals":[],"retry":[${minMs},${maxMs}]}`;
}

/** A frame as a reader parses it: what `JSON.parse` gives. */
export interface Frame {
  readonly renders: Readonly<Record<string, Render>>;
  readonly removals: readonly string[];
  readonly cursor?: Cursor;
  readonly reset?: boolean;
  readonly retry?: readonly [minMs: number, maxMs: number];
}

/**
 * Reads the text of an update that another process of the same site encoded; throws `invalid` when it is
 * none. (A browser needs no such check: it trusts the server it came from.)
 */
export function decodeUpdate(text: string): Entry {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TidingsError("invalid", "an update must be JSON", { cause });
  }
  const { renders, removals, cursor } = (value ?? {}) as Record<string, unknown>;
  if (typeof cursor !== "string" || !parseCursor(cursor)) throw invalid("cursor", "must be <epoch>.<seq>");
  const draft = draftUpdate(renders, removals);
  const placed = new Map<string, Render>();
  for (const [id, { show, content }] of draft.renders) {
    const { at } = (renders as Record<string, { at?: unknown }>)[id] ?? {};
    if (!Number.isSafeInteger(at)) throw invalid(`renders.${id}.at`, "must be an integer");
    placed.set(id, { show, content, at: at as number });
  }
  return { renders: inPlace(placed), removals: draft.removals, cursor };
}

/** The same renders, oldest place first. */
export function inPlace(renders: ReadonlyMap<string, Render>): ReadonlyMap<string, Render> {
  return new Map([...renders].sort(([, a], [, b]) => a.at - b.at));
}
