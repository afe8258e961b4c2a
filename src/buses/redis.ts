import type { RedisAddress, RedisClient } from "../services/redis-client.ts";
import { redisLink } from "../services/redis-link.ts";
import type { Bus, Listener } from "./bus.ts";
import { decodeAnnouncement, encodeAnnouncement } from "./encoding.ts";
import { redisSubscriber } from "./redis-subscriber.ts";

export type { RedisClient };

export type RedisBusOptions = RedisAddress & {
  /** Sharded Pub/Sub (Redis 7), so that a cluster does not carry each message to each node. Default: for a
   *  cluster's client. */
  readonly sharded?: boolean;
  /** Told of what went wrong, for nobody waits for it. Default: `console.error`. */
  readonly onError?: (error: unknown, context: { stage: string; channel?: string }) => void;
};

/** The bus over Redis, as the log on the same Redis sees it: who appends can announce in one go. */
export interface RedisPubSub extends Bus {
  /** The command that it publishes with. */
  command(): Promise<"PUBLISH" | "SPUBLISH">;
}

const where = "redis bus";
/** Announcements that fail while Redis is away are reported once in this time. */
const REPORT_EVERY_MS = 1_000;

/** The Redis channel of a page; Wagtail Live's. */
export function groupOf(channel: string): string {
  return `group_${channel}`;
}

/**
 * The bus over Redis or Valkey Pub/Sub. A process has two connections, however many channels and updates: one to
 * publish (yours, if you pass a client), one of its own that listens. (On a cluster, two per node at most.)
 *
 * @param options.url `redis://[[user]:password@]host[:port]`, `rediss://` for TLS: needs the package `redis`
 * @param options.client instead: a client of node-redis or ioredis, for one server or for a cluster; you connect and
 *   close it
 * @example
 * const bus = redisBus({ url: "redis://127.0.0.1:6379" });
 */
export function redisBus(options: RedisBusOptions): RedisPubSub {
  const { onError = console.error } = options;
  const channels = new Map<string, Set<Listener>>();
  const link = redisLink(options, where);
  const subscriber = redisSubscriber({ ...options, where, onError, onMessage: hear });
  let isClosed = false;
  let reported = Number.NEGATIVE_INFINITY;

  function hear(group: string, text: string): void {
    const channel = group.slice(groupOf("").length);
    const listeners = channels.get(channel);
    if (!listeners) return;
    try {
      const announcement = decodeAnnouncement(text);
      for (const listener of listeners) {
        try {
          listener(announcement);
        } catch (error) {
          onError(error, { stage: "listener", channel });
        }
      }
    } catch (error) {
      onError(error, { stage: "message", channel });
    }
  }

  const command = async () => ((await subscriber.isSharded()) ? "SPUBLISH" : "PUBLISH");

  return {
    command,

    async publish(channel, announcement) {
      if (isClosed) return;
      const group = groupOf(channel);
      try {
        await link.send(group, [await command(), group, encodeAnnouncement(announcement)]);
      } catch (error) {
        const now = performance.now();
        if (isClosed || now < reported + REPORT_EVERY_MS) return;
        reported = now;
        onError(error, { stage: "publish", channel });
      }
    },

    async subscribe(channel, listener) {
      // A wrapper of its own, so that one function subscribed twice is two subscriptions.
      const own: Listener = (announcement) => listener(announcement);
      const listeners = channels.get(channel) ?? new Set();
      channels.set(channel, listeners.add(own));
      const unsubscribe = async () => {
        if (!listeners.delete(own) || listeners.size > 0 || channels.get(channel) !== listeners) return;
        channels.delete(channel);
        await subscriber.unsubscribe(groupOf(channel));
      };
      try {
        await subscriber.subscribe(groupOf(channel));
      } catch (error) {
        await unsubscribe();
        throw error;
      }
      return unsubscribe;
    },

    onStatus: subscriber.onStatus,

    async close() {
      isClosed = true;
      subscriber.close();
      link.close();
      channels.clear();
    },
  };
}
