/** Connections to Redis that come back, and commands over them that never pile up. */
import { setTimeout as setTimeoutPromise } from "node:timers/promises";
import { TidingsError } from "../errors.ts";
import type { OnLost, RedisAddress, RedisCommands, RedisConnection, RedisLibrary } from "./redis-client.ts";
import { redisLibrary } from "./redis-client.ts";

/** A connection that is not ready, or a ping that is not answered, by then is taken for dead. */
const CONNECTS_MS = 5_000;
const PING_EVERY_MS = 2_000;
const PONG_WITHIN_MS = 4_000;
/** The wait before the next attempt is drawn from the upper half of a span that doubles up to this. */
const MAX_BACKOFF_MS = 2_000;
const FIRST_BACKOFF_MS = 100;
/** How long a command waits for a connection, and then for its answer. */
const CONNECTION_WAITED_FOR_MS = 1_000;
const ANSWER_WAITED_FOR_MS = 10_000;
/** What may wait, in characters; more is refused. */
const MAX_WAITING = 16_000_000;

/** Keeps one connection open until told to stop: pings it, and opens another when it is lost, with back-off and jitter. */
export function keepConnected<C extends RedisConnection>(
  open: (onLost: OnLost) => C | Promise<C>,
  on: {
    /** It is ready. What it rejects with counts as a loss of the connection. */
    readonly up: (connection: C) => Promise<void> | void;
    /** It is lost, or could not be opened: called once until the next `up`. */
    readonly down: (error: unknown) => void;
  },
): { stop(): void } {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    stopping.signal.onabort = () => resolve();
  });
  let isStopped = false;
  let isDown = false;

  async function once(): Promise<void> {
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => {});
    const connection = await open(lost.reject);
    connection.ready.catch(lost.reject);
    try {
      const first = <T>(answer: PromiseLike<T> | T) => Promise.race([answer, lost.promise, stopped]);
      await first(within(CONNECTS_MS, connection.ready, "the server does not answer"));
      await first(on.up(connection));
      isDown = false;
      while (!isStopped) {
        await first(pause(PING_EVERY_MS, stopping.signal));
        if (!isStopped) await first(within(PONG_WITHIN_MS, connection.ping(), "a ping was not answered"));
      }
    } finally {
      connection.destroy();
    }
  }

  async function run(): Promise<void> {
    for (let attempt = 0; !isStopped; attempt++) {
      try {
        await once();
      } catch (error) {
        if (isStopped) return;
        if (!isDown) {
          attempt = 0;
          isDown = true;
          on.down(error);
        }
        // A wrong setting mends itself in no time.
        if (error instanceof TidingsError) return;
      }
      const span = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
      await pause(span * (0.5 + Math.random() / 2), stopping.signal);
    }
  }
  void run();

  return {
    stop() {
      isStopped = true;
      stopping.abort();
    },
  };
}

/** Commands to Redis. */
export interface RedisLink {
  /** Rejects with `unavailable` when there is no connection or no answer in time, with `closed` after `close()`. */
  send(key: string, args: readonly string[]): Promise<unknown>;
  /** Whether it is a cluster. */
  isCluster(): Promise<boolean>;
  close(): void;
}

/** Commands over the caller's client, or over one connection that is opened for a URL. */
export function redisLink(
  address: RedisAddress,
  where: string,
  onDown: (error: TidingsError) => void = () => {},
): RedisLink {
  const library = redisLibrary(address, where);
  library.catch(() => {}); // told by each command
  let current: RedisCommands | null = null;
  let arrived = Promise.withResolvers<void>();
  let ready: Promise<unknown> | null = null;
  let waiting = 0;
  let isClosed = false;

  const kept = address.client
    ? undefined
    : keepConnected(async (onLost) => (await library).openCommands(onLost), {
        up(connection) {
          current = connection;
          arrived.resolve();
        },
        down(error) {
          current = null;
          arrived = Promise.withResolvers();
          if (!isClosed) onDown(error instanceof TidingsError ? error : unavailable(where, error));
        },
      });

  async function sender(): Promise<RedisLibrary | RedisCommands> {
    const owner = await library;
    if (address.client) {
      if (owner.isReady()) return owner;
      ready ??= owner.whenReady().finally(() => {
        ready = null;
      });
      await inTime(ready);
      return owner;
    }
    if (!current) await inTime(arrived.promise);
    return current ?? Promise.reject(new Error("the connection was lost"));
  }

  const inTime = (ready: Promise<unknown>) =>
    within(CONNECTION_WAITED_FOR_MS, ready, address.client ? "the client is not connected" : "not connected");

  return {
    async send(key, args) {
      if (isClosed) throw closed(where);
      const size = args.reduce((sum, arg) => sum + arg.length, 0);
      if (waiting > 0 && waiting + size > MAX_WAITING)
        throw unavailable(where, "too much waits for it already");
      waiting += size;
      const settled = () => {
        waiting -= size;
      };
      let answer: Promise<unknown> | undefined;
      try {
        answer = (await sender()).send(key, args);
        answer.then(settled, settled);
        return await within(ANSWER_WAITED_FOR_MS, answer, "no answer");
      } catch (error) {
        if (!answer) settled();
        if (isClosed) throw closed(where);
        throw isReply(error) || error instanceof TidingsError ? error : unavailable(where, error);
      }
    },
    isCluster: async () => (await library).isCluster,
    close() {
      isClosed = true;
      kept?.stop();
    },
  };
}

/** Whether Redis itself refused, with its error's code first: `NOSCRIPT No matching script`. */
export function isReply(error: unknown, code = "[A-Z]+"): boolean {
  return error instanceof Error && new RegExp(`^${code} `).test(error.message);
}

export function unavailable(where: string, cause: unknown): TidingsError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TidingsError("unavailable", `Redis cannot be reached: ${why}`, { where, cause });
}

export function closed(where: string): TidingsError {
  return new TidingsError("closed", `the ${where} has been closed`, { where });
}

async function within<T>(ms: number, answer: PromiseLike<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${otherwise} within ${ms} ms`)), ms).unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends early when the signal says so. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return setTimeoutPromise(ms, undefined, { signal }).catch(() => {});
}
