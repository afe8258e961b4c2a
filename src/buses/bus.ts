import type { Announcement } from "../protocol.ts";

export type Listener = (announcement: Announcement) => void;

export type BusStatus = "up" | "down";

/** Ends a subscription. May be called more than once. */
export type Unsubscribe = () => Promise<void>;

/**
 * Carries updates between processes. A wake-up, nothing more: it may lose, repeat and reorder, for the log is
 * the truth. Pass `busSuite` of `tidings/testing` to be one.
 */
export interface Bus {
  /** Tells every listener of the channel, in this process and all others. What fails is reported through the
   *  bus's `onError`, for the log has the update already; nobody waits for it. */
  publish(channel: string, announcement: Announcement): Promise<void>;

  /** Resolves once announcements made from then on arrive. */
  subscribe(channel: string, listener: Listener): Promise<Unsubscribe>;

  /**
   * Tells when the bus lost its server (`"down"`) and when it listens again (`"up"`): what was announced in
   * between may be lost, and the hub then asks the log. Returns what ends the telling. A bus that cannot go
   * down leaves it out.
   */
  onStatus?(listener: (status: BusStatus) => void): () => void;

  /** Lets go of what the bus itself opened. */
  close(): Promise<void>;
}
