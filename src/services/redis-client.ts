/**
 * Clients of Redis or Valkey, whichever library they are of: node-redis or ioredis, for one server or for a cluster.
 * What the bus, the log and the guide's classes ask of them is here, and nothing else is.
 */
import { TidingsError } from "../errors.ts";
import { isServiceUrl } from "./service-url.ts";

/** A client of `redis` (node-redis) or `ioredis`, for one server or for a cluster. */
export interface RedisClient {
  duplicate: (...args: never[]) => object;
}

/** Where Redis is: a URL, for which a connection is opened, or a client that is the caller's to connect and close. */
export type RedisAddress =
  | { readonly url: string; readonly client?: undefined }
  | { readonly client: RedisClient; readonly url?: undefined };

/** One connection (of a cluster: one per node), which never connects again by itself. */
export interface RedisConnection {
  /** Resolves when it can be used. */
  readonly ready: Promise<unknown>;
  ping(): Promise<unknown>;
  destroy(): void;
}

export type RedisArguments = readonly (string | Buffer)[];

export interface RedisCommands extends RedisConnection {
  send(key: string, args: RedisArguments): Promise<unknown>;
}

export interface RedisSubscriptions extends RedisConnection {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
}

/** Called once, when a connection has ended or failed. */
export type OnLost = (error: unknown) => void;

export type OnMessage = (channel: string, data: Buffer) => void;

/** What a library can do, in one language. */
export interface RedisLibrary {
  readonly isCluster: boolean;
  /** The given client's own commands; its owner reconnects it. */
  isReady(): boolean;
  whenReady(): Promise<void>;
  send(key: string, args: RedisArguments): Promise<unknown>;
  /** New connections like the client's. */
  openCommands(onLost: OnLost): RedisCommands;
  openSubscriptions(sharded: boolean, onMessage: OnMessage, onLost: OnLost): RedisSubscriptions;
}

/** The library of a client, or of node-redis for a URL. Throws `settings`, or rejects with it. */
export function redisLibrary({ url, client }: RedisAddress, where: string): Promise<RedisLibrary> {
  if ((url === undefined) === (client === undefined)) {
    throw new TidingsError("settings", "give either url or client", { where });
  }
  if (url !== undefined && !isServiceUrl(url, ["redis", "rediss"])) {
    // Without the URL, which may hold a password.
    const rule =
      "the URL must be redis://… or rediss://…: [user:password@]host[:port][/database number], percent-encoded";
    throw new TidingsError("settings", rule, { where });
  }
  return libraryOf({ url, client } as RedisAddress, where);
}

async function libraryOf({ url, client }: RedisAddress, where: string): Promise<RedisLibrary> {
  const raw = client ?? (await createClient(url, where));
  if (isIoredis(raw)) return ioredis(raw);
  if (isNodeRedis(raw)) return nodeRedis(raw);
  throw new TidingsError("settings", "client must be one of node-redis or ioredis", { where });
}

async function createClient(url: string, where: string): Promise<object> {
  const library = await import("redis").catch((cause: unknown) => {
    throw new TidingsError("settings", "a Redis URL needs the package redis: npm install redis", {
      where,
      cause,
    });
  });
  return library.createClient({ url });
}

function once(onLost: OnLost): OnLost {
  let isLost = false;
  return (error) => {
    if (isLost) return;
    isLost = true;
    onLost(plain(error));
  };
}

/** What a library's error says, without what it holds: the command that failed, and in it a password. */
function plain(error: unknown): Error {
  const [first] = error instanceof AggregateError ? error.errors : [error];
  const { message, code } = first as { message?: string; code?: unknown };
  return Object.assign(new Error(message || String(first)), code === undefined ? {} : { code });
}

async function plainly<T>(answer: PromiseLike<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw plain(error);
  }
}

/** One promise for all who wait at the same time. */
function together(wait: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  return () => {
    current ??= wait().finally(() => {
      current = undefined;
    });
    return current;
  };
}

const ENDED = "the connection has ended";

// --- node-redis --------------------------------------------------------------------------------------------

interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
}

type Subscribe = (
  channel: string,
  listener: (data: Buffer, channel: Buffer) => void,
  asBuffers: true,
) => Promise<unknown>;

interface NodeRedis extends Emitter {
  /** Of a cluster: `(firstKey, isReadonly, args)`. */
  sendCommand(...args: unknown[]): Promise<unknown>;
  duplicate(overrides: object): NodeRedis;
  connect(): Promise<unknown>;
  destroy(): void;
  subscribe: Subscribe;
  unsubscribe(channel: string): Promise<unknown>;
  sSubscribe: Subscribe;
  sUnsubscribe(channel: string): Promise<unknown>;
  readonly options?: { readonly socket?: object };
  readonly _options?: { readonly defaults?: { readonly socket?: object } };
  readonly masters?: readonly unknown[];
  readonly isReady?: boolean;
  readonly isOpen: boolean;
}

function isNodeRedis(client: object): client is NodeRedis {
  return "sendCommand" in client && "sSubscribe" in client && "isOpen" in client;
}

function nodeRedis(client: NodeRedis): RedisLibrary {
  const isCluster = "masters" in client;
  const onceOnly = { disableOfflineQueue: true, pingInterval: 0 };

  function open(onLost: OnLost): NodeRedis {
    const { defaults } = client._options ?? {};
    const opened = isCluster
      ? client.duplicate({
          defaults: { ...defaults, ...onceOnly, socket: { ...defaults?.socket, reconnectStrategy: false } },
        })
      : client.duplicate({ ...onceOnly, socket: { ...client.options?.socket, reconnectStrategy: false } });
    const lost = once(onLost);
    for (const event of ["error", "node-error", "sharded-channel-moved-error"]) opened.on(event, lost);
    opened.on("end", () => lost(new Error(ENDED)));
    return opened;
  }

  const sendTo = (to: NodeRedis, key: string | undefined, args: RedisArguments) =>
    plainly(isCluster ? to.sendCommand(key, false, args) : to.sendCommand(args));

  function connection(opened: NodeRedis): RedisConnection {
    const ready = plainly(opened.connect());
    const destroy = () => opened.destroy();
    return {
      ready,
      ping: () => sendTo(opened, undefined, ["PING"]),
      destroy() {
        destroy();
        // A socket that was just being made comes all the same, and nobody else would end it.
        ready.then(destroy, destroy);
      },
    };
  }

  return {
    isCluster,
    isReady: () => client.isReady ?? client.isOpen,
    whenReady: together(() => new Promise<void>((resolve) => client.once("ready", resolve))),
    send: (key, args) => sendTo(client, key, args),

    openCommands(onLost) {
      const opened = open(onLost);
      return { ...connection(opened), send: (key, args) => sendTo(opened, key, args) };
    },

    openSubscriptions(sharded, onMessage, onLost) {
      const opened = open(onLost);
      const hear = (data: Buffer, channel: Buffer) => onMessage(channel.toString(), data);
      // A cluster's client ends a node's connection with its last channel, and under a channel that was just coming.
      const sSubscribe = (channel: string) =>
        opened.sSubscribe(channel, hear, true).catch((error) => {
          if (!isCluster) throw error;
          return opened.sSubscribe(channel, hear, true);
        });
      return {
        ...connection(opened),
        subscribe: (channel) =>
          plainly(sharded ? sSubscribe(channel) : opened.subscribe(channel, hear, true)),
        unsubscribe: (channel) =>
          plainly(sharded ? opened.sUnsubscribe(channel) : opened.unsubscribe(channel)),
      };
    },
  };
}

// --- ioredis -----------------------------------------------------------------------------------------------

interface Ioredis extends Emitter {
  readonly status: string;
  readonly isCluster: boolean;
  call(...args: (string | Buffer)[]): Promise<unknown>;
  /** Of a cluster: `(startupNodes, overrides)`. */
  duplicate(...args: object[]): Ioredis;
  connect(): Promise<unknown>;
  disconnect(): void;
  ping(): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  ssubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
}

function isIoredis(client: object): client is Ioredis {
  return "call" in client && "status" in client && "ssubscribe" in client;
}

function ioredis(client: Ioredis): RedisLibrary {
  const { isCluster } = client;

  function open(onLost: OnLost): Ioredis {
    const opened = isCluster
      ? client.duplicate([], {
          lazyConnect: true,
          clusterRetryStrategy: () => null,
          shardedSubscribers: true,
        })
      : client.duplicate({ lazyConnect: true, retryStrategy: () => null, autoResubscribe: false });
    const lost = once(onLost);
    for (const event of ["error", "node error"]) opened.on(event, lost);
    for (const event of ["end", "-node"]) opened.on(event, () => lost(new Error(ENDED)));
    return opened;
  }

  const connection = (opened: Ioredis): RedisConnection => ({
    ready: plainly(opened.connect()),
    ping: () => plainly(opened.ping()),
    destroy: () => opened.disconnect(),
  });

  return {
    isCluster,
    isReady: () => client.status === "ready",
    whenReady: together(() => {
      const ready = new Promise<void>((resolve) => client.once("ready", resolve));
      // Made with lazyConnect: its first command would connect it, and so do we.
      if (client.status === "wait") client.connect().catch(() => {});
      return ready;
    }),
    send: (_key, args) => plainly(client.call(...args)),

    openCommands(onLost) {
      const opened = open(onLost);
      return { ...connection(opened), send: (_key, args) => plainly(opened.call(...args)) };
    },

    openSubscriptions(sharded, onMessage, onLost) {
      const opened = open(onLost);
      opened.on(sharded ? "smessageBuffer" : "messageBuffer", (channel: Buffer, data: Buffer) =>
        onMessage(channel.toString(), data),
      );
      return {
        ...connection(opened),
        subscribe: (channel) => plainly(sharded ? opened.ssubscribe(channel) : opened.subscribe(channel)),
        unsubscribe: (channel) =>
          plainly(sharded ? opened.sunsubscribe(channel) : opened.unsubscribe(channel)),
      };
    },
  };
}
