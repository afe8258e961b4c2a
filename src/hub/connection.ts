/**
 * What the hub and an adapter ask of each other. The hub knows no socket, the adapter no log.
 */
import type { Cursor } from "../protocol.ts";

/**
 * One reader's socket (or stream), as an adapter supplies it: an object of its own for each place that a reader has taken, by
 * which the hub knows it. `F` is whatever the transport's `encode` makes.
 */
export interface Connection<F = unknown> {
  /** Writes a frame; never throws, never blocks. Not called after `close`. */
  send(frame: F): void;
  /** Ends the connection: a close code and reason of PROTOCOL.md. */
  close(code: number, reason: string): void;
  /** Bytes handed to `send` that the reader's side has not taken yet. */
  readonly bufferedAmount: number;
}

/** How texts travel on a kind of connection: one object for all readers of an adapter, compared by identity. */
export interface Transport<F> {
  /**
   * Makes a frame of a text; called once per update for all readers of the transport. `cursor` is where a reader is
   * who has been sent it; empty for what moves no reader.
   */
  encode(text: string, cursor: Cursor): F;
  /** Makes one of several frames that fall due together, in their order. Without it they are sent one by one. */
  join?(frames: readonly F[]): F;
  /** A library's own way to write to many: readers who have missed nothing are written to by it, others with `send`. */
  readonly topics?: Topics<F>;
  /** A reader who has missed nothing gets a heartbeat at once: it shows that nothing holds the stream up. */
  readonly greets?: boolean;
  /**
   * Its readers know no `reset`: instead of one they are sent what the new epoch holds, from its beginning. For logs
   * whose epochs begin at 0.
   */
  readonly knowsNoReset?: boolean;
}

/**
 * What a library itself writes to all connections that it knows to be subscribed to a topic. A topic is a page's channel id.
 * Each connection gets what it was sent and what was published to it while it was subscribed in the order of the calls.
 */
export interface Topics<F> {
  /** Called as soon as a reader has been sent all that there is; one that is closed needs no `unsubscribe`. */
  subscribe(connection: Connection<F>, topic: string): void;
  /** The reader has been sent what was published before, and gets nothing that is published after. */
  unsubscribe(connection: Connection<F>, topic: string): void;
  /**
   * Writes frames, in their order, to all who are subscribed; whose `bufferedAmount` was too much has just been
   * unsubscribed. `false`: to none of them, for the library might drop what is so large; then they are sent to each.
   */
  publish(topic: string, frames: readonly F[]): boolean;
}

/** Who asks for a page, and from where in its history: what is known before there is an answer. */
export interface Question {
  /** Decoded; need not be valid. */
  readonly channel: string;
  /** Absent or empty: live only. */
  readonly cursor?: string | null | undefined;
  /** The `Origin` header, if there was one. */
  readonly origin?: string | undefined;
  /** The host that was asked (`Host` header): `"own"` in the check of origins. */
  readonly host?: string | undefined;
}

/** A reader at the door. */
export interface Admission<F> extends Question {
  /** The reader's address, for the limit per address. */
  readonly address?: string | undefined;
  readonly transport: Transport<F>;
}

/** No entry: answer the request with this status (and `Retry-After`, in seconds). */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly retryAfter?: number;
}

/** What a reader that asks now and then has missed, as one frame. */
export interface Polled {
  readonly text: string;
  /** Where the reader is who has taken it. */
  readonly cursor: Cursor;
  readonly kind: "update" | "reset" | "nothing";
}

/** A reader who may enter. From here on nothing published is missed. */
export interface Admitted<F> {
  /** Call when the upgrade has been answered. */
  open(connection: Connection<F>): Reader;
  /** Call instead when the upgrade failed: the place is given back. */
  cancel(): void;
}

/** What the adapter tells the hub of one reader. Methods: `() => reader.closed()` is a listener, `reader.closed` is none. */
export interface Reader {
  /** A message came from the reader: its size in bytes. So did a ping, or a pong that answers none: 0, for they count, too. */
  message(bytes: number): void;
  /** The socket has taken all it was given. Optional: without it the hub looks now and then. */
  drained(): void;
  /** The connection is gone. Call once, whoever closed it. */
  closed(): void;
}
