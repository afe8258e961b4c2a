/** Subscriptions on one connection of its own, which outlive it: when it is lost, another takes them all up again. */
import { TidingsError } from "../errors.ts";
import {
  type OnMessage,
  type RedisAddress,
  type RedisSubscriptions,
  redisLibrary,
} from "../services/redis-client.ts";
import { closed, keepConnected, unavailable } from "../services/redis-link.ts";
import type { BusStatus } from "./bus.ts";

export interface RedisSubscriber {
  /** Resolves when messages to the channel arrive; while Redis is away it waits. */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  onStatus(listener: (status: BusStatus) => void): () => void;
  /** Whether it is sharded Pub/Sub; known when the library is loaded. */
  isSharded(): Promise<boolean>;
  close(): void;
}

export type RedisSubscriberOptions = RedisAddress & {
  /** Sharded Pub/Sub. Default: for a cluster's client. */
  readonly sharded?: boolean | undefined;
  readonly where: string;
  readonly onMessage: OnMessage;
  readonly onError: (error: unknown, context: { stage: string; channel?: string }) => void;
};

interface Topic {
  isWanted: boolean;
  /** The connection that has the subscription. */
  on: RedisSubscriptions | null;
  /** Settles when Redis has what is wanted. */
  work: Promise<void> | null;
  joined: PromiseWithResolvers<void>;
}

export function redisSubscriber(options: RedisSubscriberOptions): RedisSubscriber {
  const { where, onMessage, onError } = options;
  const topics = new Map<string, Topic>();
  const listeners = new Set<(status: BusStatus) => void>();
  const library = redisLibrary(options, where);
  const sharded = library.then(({ isCluster }) => options.sharded ?? isCluster);
  sharded.catch(() => {});
  let current: RedisSubscriptions | null = null;
  let fail: (error: unknown) => void = () => {};
  let status: BusStatus = "up";
  let failure: TidingsError | null = null;

  const kept = keepConnected<RedisSubscriptions>(
    async (onLost) => {
      fail = onLost;
      return (await library).openSubscriptions(await sharded, onMessage, onLost);
    },
    {
      async up(connection) {
        current = connection;
        await Promise.all([...topics].map(([channel, topic]) => settle(channel, topic)));
        tell("up");
      },
      down(error) {
        current = null;
        if (error instanceof TidingsError) end(error);
        else {
          // What comes from here on is missed until the channel is taken up again.
          for (const topic of topics.values()) topic.joined = newJoined(topic.joined);
          for (const [channel, topic] of topics) if (!topic.isWanted) forget(channel, topic);
        }
        onError(error instanceof TidingsError ? error : unavailable(where, error), { stage: "connection" });
        tell("down");
      },
    },
  );

  function tell(next: BusStatus): void {
    if (next === status || failure?.code === "closed") return;
    status = next;
    for (const listener of listeners) listener(next);
  }

  /** Makes Redis have what is wanted; one at a time per channel, for a subscription must not overtake the end of another. */
  function settle(channel: string, topic: Topic): Promise<void> {
    topic.work ??= Promise.resolve().then(() => work(channel, topic));
    return topic.work;
  }

  async function work(channel: string, topic: Topic): Promise<void> {
    for (;;) {
      const connection = current;
      if (!connection || (topic.on === connection) === topic.isWanted) break;
      try {
        if (topic.isWanted) await connection.subscribe(channel);
        else await connection.unsubscribe(channel);
        topic.on = topic.on === connection ? null : connection;
      } catch (error) {
        if (connection === current) await refused(channel, topic, connection, error);
        if (connection === current) break;
      }
    }
    // Here, not in a callback: what is wanted from now on begins another.
    topic.work = null;
    if (!topic.isWanted) forget(channel, topic);
    else if (topic.on !== null && topic.on === current) topic.joined.resolve();
  }

  function forget(channel: string, topic: Topic): void {
    if (topics.get(channel) === topic) topics.delete(channel);
  }

  /** A connection that still answers was right to refuse: that one channel fails. Any other is lost. */
  async function refused(channel: string, topic: Topic, on: RedisSubscriptions, error: unknown) {
    try {
      await on.ping();
      topic.isWanted = false;
      topic.joined.reject(unavailable(where, error));
      onError(error, { stage: "subscribe", channel });
    } catch {
      if (on === current) fail(error);
    }
  }

  function end(error: TidingsError): void {
    failure = error;
    kept.stop();
    for (const { joined } of topics.values()) joined.reject(error);
    topics.clear();
    current = null;
  }

  return {
    async subscribe(channel) {
      if (failure) throw failure;
      const topic = topics.get(channel) ?? { isWanted: true, on: null, work: null, joined: newJoined() };
      if (!topic.isWanted) topic.joined = newJoined(topic.joined);
      topic.isWanted = true;
      topics.set(channel, topic);
      void settle(channel, topic);
      return topic.joined.promise;
    },

    async unsubscribe(channel) {
      const topic = topics.get(channel);
      if (!topic) return;
      topic.isWanted = false;
      await settle(channel, topic);
    },

    onStatus(listener) {
      listeners.add(listener);
      if (status === "down") listener(status);
      return () => listeners.delete(listener);
    },

    isSharded: () => sharded,

    close() {
      if (failure?.code !== "closed") end(closed(where));
    },
  };
}

/** A promise to wait for; those who wait for the one before wait for it too. */
function newJoined(before?: PromiseWithResolvers<void>): PromiseWithResolvers<void> {
  const joined = Promise.withResolvers<void>();
  joined.promise.catch(() => {});
  if (before) joined.promise.then(before.resolve, before.reject);
  return joined;
}
