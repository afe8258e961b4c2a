/** Who listens to which channel in this process. A server is asked for each once, however many listen. */
import type { Listener, Unsubscribe } from "../buses/bus.ts";
import type { Announcement } from "../protocol.ts";
import type { KeptSession, Listening } from "./keep-session.ts";

export interface ListenersOptions {
  readonly kept: Pick<KeptSession<Listening>, "listen" | "unlisten" | "report">;
  /** What a channel is called there. Default: the same. */
  readonly nameOf?: (channel: string) => string;
  /** The server brings what comes on a channel from now on. */
  readonly began?: (channel: string) => void;
  /** Nobody listens to a channel any more. */
  readonly ended?: (channel: string) => void;
}

export interface Listeners {
  /** Resolves when what comes on the channel is heard. */
  add(channel: string, listener: Listener): Promise<Unsubscribe>;
  has(channel: string): boolean;
  channels(): Iterable<string>;
  /** Tells all of a channel; one that throws harms no other. */
  tell(channel: string, announcement: Announcement): void;
  clear(): void;
}

export function keepListeners(options: ListenersOptions): Listeners {
  const { kept, nameOf = (channel) => channel, began, ended } = options;
  const all = new Map<string, Set<Listener>>();

  return {
    async add(channel, listener) {
      const listeners = all.get(channel) ?? new Set();
      all.set(channel, listeners);
      const isFirst = listeners.size === 0;
      // A wrapper of its own, so that one function subscribed twice is two subscriptions.
      const own: Listener = (announcement) => listener(announcement);
      listeners.add(own);
      const unsubscribe = async () => {
        if (!listeners.delete(own) || listeners.size > 0 || all.get(channel) !== listeners) return;
        all.delete(channel);
        ended?.(channel);
        await kept.unlisten(nameOf(channel));
      };
      try {
        await kept.listen(nameOf(channel));
      } catch (error) {
        await unsubscribe();
        throw error;
      }
      if (isFirst && all.get(channel) === listeners) began?.(channel);
      return unsubscribe;
    },

    has: (channel) => all.has(channel),
    channels: () => all.keys(),

    tell(channel, announcement) {
      for (const listener of all.get(channel) ?? []) {
        try {
          listener(announcement);
        } catch (error) {
          kept.report(error, "listener");
        }
      }
    },

    clear: () => all.clear(),
  };
}
