/** Between a Wagtail Live site and a hub: what the site publishes becomes history that readers can resume in. */
import type { Bus } from "../buses/bus.ts";
import { openListening } from "../buses/redis.ts";
import { TidingsError } from "../errors.ts";
import type { Log } from "../logs/log.ts";
import { memoryLog } from "../logs/memory.ts";
import type { Draft } from "../protocol.ts";
import { keepSession } from "../services/keep-session.ts";
import { keepListeners } from "../services/listeners.ts";
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
  const statusListeners = new Set<(status: "up" | "down") => void>();
  const counts = { messages: 0, unreadable: 0 };

  const kept = keepSession({
    ...redisAt(where),
    async open(events) {
      const known = await library;
      // Also after a session that some pages were heard on already, and that ended before it was up.
      for (const page of listeners.channels()) {
        unheard.add(page);
        broken.add(page);
      }
      return openListening(known, false, events, hear);
    },
    onError,
  });

  const channelOf = (page: string) => source.prefix + page;
  const listeners = keepListeners({
    kept,
    nameOf: channelOf,
    began: beginAnew,
    ended(page) {
      unheard.delete(page);
      broken.delete(page);
      log.forget(page);
    },
  });
  /** Pages of which something went by unheard: what comes next begins a history of its own. */
  const unheard = new Set<string>();
  /** Those that were listened to when Redis was lost: their readers are told when it is back, if not before. */
  const broken = new Set<string>();

  /**
   * No cursor holds any more. Readers are to know before the next message comes: it would be part of what they are told to
   * reset to, and those with the original script take no reset.
   */
  function beginAnew(page: string): void {
    if (unheard.delete(page)) listeners.tell(page, { cursor: log.renew(page) });
  }

  /** Said of each, for each is another's mistake; and nobody is the worse for it but who sent it. */
  function unreadable(error: unknown, channel: string): void {
    counts.unreadable++;
    onError(error, { stage: "message", channel });
  }

  function hear(channel: string, data: Uint8Array): void {
    const page = channel.slice(source.prefix.length);
    if (!listeners.has(page)) return;
    counts.messages++;
    // It may come together with Redis' word that it listens, and before that is noticed.
    beginAnew(page);
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
    log.append(page, read.draft).then(
      (announcement) => listeners.tell(page, announcement),
      (error) => unreadable(error, channel),
    );
  }

  kept.onStatus((status) => {
    if (status === "up") {
      for (const page of broken) beginAnew(page);
      broken.clear();
    }
    for (const listener of statusListeners) listener(status);
  });

  const bus: Bus = {
    async publish() {
      throw new TidingsError("invalid", "a relay only listens: the site publishes", { where });
    },

    async subscribe(page, listener) {
      if (!listeners.has(page)) unheard.add(page);
      return listeners.add(page, listener);
    },

    onStatus(listener) {
      statusListeners.add(listener);
      return () => void statusListeners.delete(listener);
    },

    close: kept.close,
  };

  async function publish(page: string, { renders, removals }: Draft): Promise<void> {
    const channel = channelOf(page);
    await link.send(channel, ["PUBLISH", channel, source.write({ renders, removals })]);
  }

  async function close(): Promise<void> {
    await Promise.all([bus.close(), link.close(), log.close()]);
  }

  return { log, bus, publish, close, stats: () => ({ ...counts }) };
}
