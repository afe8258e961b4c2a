/** Between a Wagtail Live site and a hub: what the site publishes becomes history that readers can resume in. */
import type { Bus, Listener } from "../buses/bus.ts";
import { openListening } from "../buses/redis.ts";
import { TidingsError } from "../errors.ts";
import type { Log } from "../logs/log.ts";
import { memoryLog } from "../logs/memory.ts";
import type { Draft } from "../protocol.ts";
import { keepSession } from "../services/keep-session.ts";
import { type RedisAddress, redisLibrary } from "../services/redis-client.ts";
import { redisAt, redisLink } from "../services/redis-link.ts";
import type { ReadMessage } from "./message.ts";
import { type Source, wagtailSource } from "./sources.ts";

/** Less than the 2 s that `TidingsHttpPublisher` waits: it is to hear what is the matter. */
const PUBLISH_MS = 1_500;

export type RelayOptions = RedisAddress & {
  /** Default: {@link wagtailSource}. */
  readonly source?: Source;
  /** Told what went wrong while nobody waited for an answer. `channel` is the Redis channel. */
  readonly onError?: (error: unknown, context: { stage: string; channel?: string }) => void;
};

/** What a hub needs to serve a site's readers. */
export interface Relay {
  /** The history since the relay listens: in memory, per page with readers. */
  readonly log: Log;
  /** Brings the site's updates; it publishes nothing. */
  readonly bus: Bus;
  /**
   * Publishes as the site does, so that every relay hears it. Resolves once Redis has it; rejects with `unavailable` when
   * it has not answered within 1.5 s (it may take it all the same when it is awake again).
   */
  publish(page: string, draft: Draft): Promise<void>;
  close(): Promise<void>;
  /** Counts messages since the start; among the unreadable are those of which a part was. */
  stats(): { readonly messages: number; readonly unreadable: number };
}

/**
 * Listens to the site's updates of the pages that have readers. Each time that it begins to listen to a page, its history
 * begins anew (a new epoch): what was published while nobody listened is never taken for known.
 *
 * @example
 * const { log, bus } = createRelay({ url: "redis://127.0.0.1:6379/1" });
 * attachWebSocket(server, createHub({ log, bus }));
 */
export function createRelay(options: RelayOptions): Relay {
  const where = "relay";
  const { source = wagtailSource, onError = (error, context) => console.error(error, context) } = options;
  // An editor who saves again, for a reader who lacks it, is heard.
  const log = memoryLog({ keepsRepeats: true });
  const library = redisLibrary(options, where);
  const link = redisLink(options, where, { answerMs: PUBLISH_MS });
  const pages = new Map<string, { readonly page: string; readonly listeners: Set<Listener> }>();
  const statusListeners = new Set<(status: "up" | "down") => void>();
  const counts = { messages: 0, unreadable: 0 };

  const kept = keepSession({
    ...redisAt(where),
    open: async (events) => openListening(await library, false, events, hear),
    onError,
  });

  /** Said of each, for each is another's mistake; and nobody is the worse for it but who sent it. */
  function unreadable(error: unknown, channel: string): void {
    counts.unreadable++;
    onError(error, { stage: "message", channel });
  }

  function hear(channel: string, data: Uint8Array): void {
    const known = pages.get(channel);
    if (!known) return;
    counts.messages++;
    let read: ReadMessage | null;
    try {
      read = source.read(data);
    } catch (error) {
      unreadable(error, channel);
      return;
    }
    if (!read) return;
    if (read.leftOut) unreadable(read.leftOut, channel);
    // In the order they came: a memory log appends before it returns.
    log.append(known.page, read.draft).then(
      (announcement) => {
        for (const listener of known.listeners) listener(announcement);
      },
      (error) => unreadable(error, channel),
    );
  }

  kept.onStatus((status) => {
    // What came meanwhile went by unheard: no cursor holds any more. Readers are to know before the next message comes:
    // it would be part of what they are told to reset to, and those with the original script take no reset.
    if (status === "up") {
      for (const { page, listeners } of pages.values()) {
        const cursor = log.renew(page);
        for (const listener of listeners) listener({ cursor });
      }
    }
    for (const listener of statusListeners) listener(status);
  });

  const bus: Bus = {
    async publish() {
      throw new TidingsError("invalid", "a relay only listens: the site publishes", { where });
    },

    async subscribe(page, listener) {
      const channel = source.channelOf(page);
      const known = pages.get(channel) ?? { page, listeners: new Set() };
      pages.set(channel, known);
      const isFirst = known.listeners.size === 0;
      const own: Listener = (announcement) => listener(announcement);
      known.listeners.add(own);
      const unsubscribe = async () => {
        if (!known.listeners.delete(own) || known.listeners.size > 0 || pages.get(channel) !== known) return;
        pages.delete(channel);
        log.forget(page);
        await kept.unlisten(channel);
      };
      try {
        await kept.listen(channel);
      } catch (error) {
        await unsubscribe();
        throw error;
      }
      if (isFirst) log.renew(page);
      return unsubscribe;
    },

    onStatus(listener) {
      statusListeners.add(listener);
      return () => void statusListeners.delete(listener);
    },

    close: kept.close,
  };

  async function publish(page: string, { renders, removals }: Draft): Promise<void> {
    const channel = source.channelOf(page);
    await link.send(channel, ["PUBLISH", channel, source.write({ renders, removals })]);
  }

  async function close(): Promise<void> {
    await Promise.all([bus.close(), link.close(), log.close()]);
  }

  return { log, bus, publish, close, stats: () => ({ ...counts }) };
}
