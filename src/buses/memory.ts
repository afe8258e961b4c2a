import { TidingsError } from "../errors.ts";
import type { Bus, Listener } from "./bus.ts";

export interface MemoryBusOptions {
  /** Told when a listener throws; the others are called all the same. Default: `console.error`. */
  readonly onError?: (error: unknown, context: { stage: string }) => void;
}

/**
 * The bus of a single process. Announcements reach its listeners in the order published, before `publish` resolves.
 *
 * @example
 * const bus = memoryBus();
 * const hub = createHub({ log, bus });
 */
export function memoryBus({ onError = console.error }: MemoryBusOptions = {}): Bus {
  const channels = new Map<string, Set<Listener>>();
  let isClosed = false;
  return {
    async publish(channel, announcement) {
      for (const listener of channels.get(channel) ?? []) {
        try {
          listener(announcement);
        } catch (error) {
          onError(error, { stage: "listener" });
        }
      }
    },

    async subscribe(channel, listener) {
      if (isClosed) throw new TidingsError("closed", "the bus has been closed", { where: "memory bus" });
      // A wrapper of its own, so that one function subscribed twice is two subscriptions.
      const own: Listener = (announcement) => listener(announcement);
      const listeners = channels.get(channel) ?? new Set();
      channels.set(channel, listeners.add(own));
      return async () => {
        listeners.delete(own);
        if (listeners.size === 0 && channels.get(channel) === listeners) channels.delete(channel);
      };
    },

    async close() {
      isClosed = true;
      channels.clear();
    },
  };
}
