/** The guide's classes for Redis Pub/Sub: on the wire they are Wagtail Live's. */
import { groupOf, openListening } from "../buses/redis.ts";
import type { Cursor, Render } from "../protocol.ts";
import { type KeptSession, keepSession, type Listening } from "../services/keep-session.ts";
import { type RedisAddress, redisLibrary } from "../services/redis-client.ts";
import { type RedisLink, redisAt, redisLink } from "../services/redis-link.ts";
import { BaseWebsocketPublisher } from "./publisher.ts";

/** Where Redis is: `TIDINGS_REDIS_URL`, else `WAGTAIL_LIVE_REDIS_URL`, else `redis://127.0.0.1:6379/1`. */
export function getRedisUrl(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return env.TIDINGS_REDIS_URL || env.WAGTAIL_LIVE_REDIS_URL || "redis://127.0.0.1:6379/1";
}

/**
 * Publishes each update on the Redis channel `group_<channel id>`, as Wagtail Live does: its servers, and ours, bring it
 * to readers. One connection, however many updates (yours, if you pass a client).
 *
 * @example
 * class MyWebsocketPublisher extends RedisPubSubPublisher {}
 * const publisher = new MyWebsocketPublisher();
 * await publisher.publish("finals", { 7: { show: true, content: "<p>Goal!</p>", at: 12 } }, []);
 */
export class RedisPubSubPublisher extends BaseWebsocketPublisher {
  readonly #link: RedisLink;

  /** @param address default: the URL of {@link getRedisUrl} */
  constructor(address: RedisAddress = { url: getRedisUrl() }) {
    super();
    this.#link = redisLink(address, "redis publisher");
  }

  /** Resolves once Redis has it; rejects with `unavailable` when it cannot be reached. */
  override async publish(
    channelId: string,
    renders: Readonly<Record<string, Omit<Render, "at"> & Partial<Pick<Render, "at">>>>,
    removals: readonly string[],
    { cursor }: { readonly cursor?: Cursor } = {},
  ): Promise<void> {
    const group = groupOf(channelId);
    await this.#link.send(group, ["PUBLISH", group, JSON.stringify({ renders, removals, cursor })]);
  }

  /** Closes the connection that it opened. */
  async close(): Promise<void> {
    await this.#link.close();
  }
}

export type RedisBusOptions<Recipient> = RedisAddress & {
  /**
   * Sends the text of a message to all recipients. Called for each message, in their order; nothing waits for it, so
   * begin sending before the first `await`. What it throws is reported, and stops nothing.
   */
  readonly broadcast: (message: string, recipients: readonly Recipient[]) => Promise<unknown> | unknown;
  /** Told of what went wrong, for nobody waits for it. Default: `console.error`. */
  readonly onError?: (error: unknown, context: { stage: string; channel?: string }) => void;
};

interface Group<Recipient> {
  readonly members: Set<Recipient>;
  /** The same as a list, until someone comes or goes. */
  list: readonly Recipient[] | null;
}

/**
 * Brings messages of Redis channels to the connections of this process: the guide's event bus. It passes on the text as
 * it came. For more (readers that resume, catch up, and never miss an update) see `createHub`.
 *
 * @example
 * const bus = new RedisBus({
 *   url: getRedisUrl(),
 *   broadcast: (message, recipients) => {
 *     for (const socket of recipients) socket.send(message);
 *   },
 * });
 * server.on("connection", async (socket, channelId) => {
 *   socket.on("close", () => bus.unsubscribe(`group_${channelId}`, socket));
 *   await bus.subscribe(`group_${channelId}`, socket);
 * });
 * await bus.run();
 */
export class RedisBus<Recipient> {
  readonly #broadcast: RedisBusOptions<Recipient>["broadcast"];
  readonly #onError: NonNullable<RedisBusOptions<Recipient>["onError"]>;
  readonly #groups = new Map<string, Group<Recipient>>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #kept: KeptSession<Listening>;

  constructor(options: RedisBusOptions<Recipient>) {
    const { broadcast, onError = console.error } = options;
    this.#broadcast = broadcast;
    this.#onError = onError;
    const library = redisLibrary(options, "redis bus");
    this.#kept = keepSession({
      ...redisAt("redis bus"),
      open: async (events) => openListening(await library, false, events),
      heard: (group, text) => this.#deliver(group, text),
      onError,
    });
  }

  /** Brings messages until `close()`, whatever becomes of Redis: it connects again by itself. */
  run(): Promise<void> {
    return this.#ended.promise;
  }

  /** Adds a connection to a group; resolves when messages to the group arrive. While Redis is away it waits. */
  async subscribe(group: string, connection: Recipient): Promise<void> {
    const known = this.#groups.get(group) ?? { members: new Set(), list: null };
    this.#groups.set(group, known);
    known.members.add(connection);
    known.list = null;
    try {
      await this.#kept.listen(group);
    } catch (error) {
      await this.unsubscribe(group, connection);
      throw error;
    }
  }

  /** Takes a connection out of a group, if it is in it; with the last one the group's subscription ends. */
  async unsubscribe(group: string, connection: Recipient): Promise<void> {
    const known = this.#groups.get(group);
    if (!known?.members.delete(connection)) return;
    known.list = null;
    if (known.members.size > 0) return;
    this.#groups.delete(group);
    await this.#kept.unlisten(group);
  }

  /** Ends `run()` and closes the bus's connection; those of readers are left to their owner. */
  async close(): Promise<void> {
    await this.#kept.close();
    this.#groups.clear();
    this.#ended.resolve();
  }

  async #deliver(name: string, text: string): Promise<void> {
    const group = this.#groups.get(name);
    if (!group) return;
    group.list ??= [...group.members];
    try {
      await this.#broadcast(text, group.list);
    } catch (error) {
      this.#onError(error, { stage: "broadcast", channel: name });
    }
  }
}
