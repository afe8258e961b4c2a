import type { Cursor, Entry } from "../protocol.ts";

/** What a bus brings: the update itself, or, where it was too large to carry, its cursor alone. */
export type Announcement = Entry | { readonly cursor: Cursor };

export type Listener = (announcement: Announcement) => void;

/** Ends a subscription. May be called more than once. */
export type Unsubscribe = () => Promise<void>;

/**
 * Carries updates between processes. A wake-up, nothing more: it may lose, repeat and reorder, for the log is
 * the truth. Pass `busSuite` of `tidings/testing` to be one.
 */
export interface Bus {
  /** Announces an entry to every listener of the channel, in this process and all others. Never throws into
   *  the publisher: what fails is reported through the bus's `onError`. */
  publish(channel: string, entry: Entry): Promise<void>;

  /** Resolves once announcements made from then on arrive. */
  subscribe(channel: string, listener: Listener): Promise<Unsubscribe>;

  /**
   * Tells when the bus lost its server (`"down"`) and when it listens again (`"up"`): what was announced in
   * between may be lost, and the hub then asks the log. A bus that cannot go down leaves it out.
   */
  onStatus?(listener: (status: "up" | "down") => void): void;

  /** Lets go of what the bus itself opened. */
  close(): Promise<void>;
}
