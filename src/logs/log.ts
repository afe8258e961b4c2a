import type { Bus } from "../buses/bus.ts";
import type { Announcement, Cursor, Draft, Entry } from "../protocol.ts";

/** An answer of at most this many bytes of HTML, unless one update alone is larger. */
export const MAX_SINCE_BYTES = 1_000_000;

/**
 * What a reader at some cursor has missed.
 *
 * - `entry`: all of it, compacted to one update. Its cursor is the head, or, with `more`, a place on the way
 *   there: ask again from it.
 * - `reset`: the cursor does not hold; the value is the head. Its epoch is of no end that was lost: where one may be, it
 *   begins with this answer.
 */
export type Since = { readonly entry: Entry; readonly more: boolean } | { readonly reset: Cursor };

export interface AppendOptions {
  /** A second append to the channel with the same key changes nothing and answers with the first one's cursor;
   *  with another update it rejects with `key_reused`. Keys are kept for a day at least. */
  readonly idempotencyKey?: string | undefined;
}

/**
 * The ordered, compacted history of updates, per channel. Every post is a register: the log keeps its newest
 * version, or that it was removed. Pass `logSuite` of `tidings/testing` to be one.
 *
 * Every method rejects with a `TidingsError`: `unavailable` when the log cannot be reached, `closed` after
 * `close()`.
 */
export interface Log {
  /**
   * Numbers an update, stores it, and answers with what to announce: the entry as readers will get it (places
   * given; renders of an older `version`, and what was so already, left out). When nothing changed, or the key
   * was used before, it answers with a cursor alone.
   *
   * @example
   * const { cursor } = await log.append("finals", draftUpdate([{ id: "7", show: true, content: "<p>Goal!</p>" }]));
   */
  append(channel: string, update: Draft, options?: AppendOptions): Promise<Announcement>;

  /** What came after `cursor`; after the beginning when it is `null`. Reads one snapshot. */
  since(channel: string, cursor: Cursor | null): Promise<Since>;

  /** The bus that `append` itself announces on, where it answers with a whole entry: who appends need not. */
  readonly announcesOn?: Bus;

  /** The newest cursor of each channel, in the order asked; one round trip for all. */
  heads(channels: readonly string[]): Promise<Cursor[]>;

  /** Lets go of what the log itself opened. */
  close(): Promise<void>;
}
