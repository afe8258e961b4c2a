import type { Listening } from "../services/keep-session.ts";
import {
  type OnMessage,
  type RedisAddress,
  type RedisClient,
  type RedisLibrary,
  redisLibrary,
} from "../services/redis-client.ts";
import { openConnection, openSender, redisAt, unavailable } from "../services/redis-link.ts";
import type { Bus } from "./bus.ts";
import { type BusOnError, type Session, type SessionEvents, sessionBus } from "./sessions.ts";

export type { RedisClient };

export type RedisBusOptions = RedisAddress & {
  /** Sharded Pub/Sub (Redis 7), so that a cluster does not carry each message to each node. Default: for a
   *  cluster's client. */
  readonly sharded?: boolean;
  /** Told what went wrong while nobody waited for an answer. Default: `console.error`. */
  readonly onError?: BusOnError;
};

/** The bus over Redis, as the log on the same Redis sees it: who appends can announce in one go. */
export interface RedisPubSub extends Bus {
  /** The command that it publishes with. */
  command(): Promise<"PUBLISH" | "SPUBLISH">;
}

const where = "redis bus";

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
  const library = redisLibrary(options, where);
  const command = async () => ((options.sharded ?? (await library).isCluster) ? "SPUBLISH" : "PUBLISH");
  const open = async (events: SessionEvents) => openSession(options, await library, await command(), events);
  return { ...sessionBus({ ...redisAt(where), open, onError: options.onError }), command };
}

async function openSession(
  address: RedisAddress,
  library: RedisLibrary,
  command: "PUBLISH" | "SPUBLISH",
  events: SessionEvents,
): Promise<Session> {
  // First, for a client of the caller's may be long in coming, and nothing is left open meanwhile.
  const sender = await openSender(address, library, events);
  try {
    const listening = await openListening(library, command === "SPUBLISH", {
      ...events,
      heard: (group, text) => events.heard(group.slice(groupOf("").length), text),
    });
    return {
      maxBytes: Number.POSITIVE_INFINITY,
      async publish(channel, body) {
        const group = groupOf(channel);
        await sender.send(group, [command, group, body]).catch((error) => {
          throw unavailable(where, error);
        });
      },
      listen: (channel) => listening.listen(groupOf(channel)),
      unlisten: (channel) => listening.unlisten(groupOf(channel)),
      async close() {
        await Promise.all([listening.close(), sender.close()]);
      },
    };
  } catch (error) {
    await sender.close();
    throw error;
  }
}

/** Subscriptions to Redis channels, on one connection of their own. @param heard for messages that are no text */
export async function openListening(
  library: RedisLibrary,
  isSharded: boolean,
  events: SessionEvents,
  heard: OnMessage = (channel, data) => events.heard(channel, data.toString()),
): Promise<Listening> {
  const connection = await openConnection(library.openSubscriptions(isSharded, heard, events.ended), events);
  const last = new Map<string, Promise<unknown>>();

  /** One at a time per channel, for a subscription must not overtake the end of another. */
  async function inTurn(channel: string, step: () => Promise<unknown>): Promise<void> {
    const turn = (last.get(channel) ?? Promise.resolve()).then(step, step);
    last.set(channel, turn);
    try {
      await turn;
    } catch (error) {
      throw unavailable(where, error);
    } finally {
      if (last.get(channel) === turn) last.delete(channel);
    }
  }

  return {
    listen: (channel) => inTurn(channel, () => connection.subscribe(channel)),
    unlisten: (channel) => inTurn(channel, () => connection.unsubscribe(channel)),
    close: async () => connection.destroy(),
  };
}
