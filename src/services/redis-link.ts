/** Connections to Redis that are ready and answer, and commands over them that never pile up. */
import { TidingsError } from "../errors.ts";
import { within } from "../within.ts";
import { keepSession, type SessionEvents, unreachable } from "./keep-session.ts";
import {
  type RedisAddress,
  type RedisArguments,
  type RedisConnection,
  type RedisLibrary,
  redisLibrary,
} from "./redis-client.ts";

/** A connection that is not ready, or a ping that is not answered, by then is taken for dead. */
const CONNECTS_MS = 5_000;
const PING_EVERY_MS = 2_000;
const PONG_WITHIN_MS = 4_000;
/** How long a command waits for a connection, and how long, with that, for its answer. */
const CONNECTION_WAITED_FOR_MS = 1_000;
const ANSWER_WAITED_FOR_MS = 10_000;
/** What may wait, in characters; more is refused. */
const MAX_WAITING = 16_000_000;

/** The connection when it is ready; from then on it is pinged, and `ended` is told when an answer stays away. */
export async function openConnection<C extends RedisConnection>(
  connection: C,
  { ended, signal }: SessionEvents,
): Promise<C> {
  try {
    if (!(await within(CONNECTS_MS, isDone(connection.ready), signal))) throw new Error("no answer");
  } catch (error) {
    connection.destroy();
    throw error;
  }
  const ping = async () => {
    if (!(await within(PONG_WITHIN_MS, isDone(connection.ping())))) throw new Error("no answer to a ping");
  };
  const timer = setInterval(() => ping().catch(ended), PING_EVERY_MS).unref();
  return {
    ...connection,
    destroy() {
      clearInterval(timer);
      connection.destroy();
    },
  };
}

export interface RedisSender {
  send(key: string, args: RedisArguments): Promise<unknown>;
  close(): Promise<void>;
}

/** Commands over the caller's client while it is connected, or over a connection of its own. */
export async function openSender(
  { client }: RedisAddress,
  library: RedisLibrary,
  events: SessionEvents,
): Promise<RedisSender> {
  if (!client) {
    const { send, destroy } = await openConnection(library.openCommands(events.ended), events);
    return { send, close: async () => destroy() };
  }
  if (!library.isReady() && !(await within(CONNECTS_MS, isDone(library.whenReady()), events.signal))) {
    throw new Error("the client is not connected");
  }
  return {
    async send(key, args) {
      if (library.isReady()) return library.send(key, args);
      const error = new Error("the client is not connected");
      events.ended(error);
      throw error;
    },
    close: async () => {},
  };
}

/** Commands to Redis. */
export interface RedisLink {
  /** Rejects with `unavailable` when there is no connection or no answer in time, with `closed` after `close()`. */
  send(key: string, args: RedisArguments): Promise<unknown>;
  /** Whether it is a cluster. */
  isCluster(): Promise<boolean>;
  close(): Promise<void>;
}

export interface RedisLinkOptions {
  /** How long a command may take in all, in milliseconds. Default 10 s. */
  readonly answerMs?: number;
  readonly onError?: ((error: unknown, context: { stage: string }) => void) | undefined;
}

/** Commands over the caller's client, or over one connection that is opened for a URL. */
export function redisLink(address: RedisAddress, where: string, options: RedisLinkOptions = {}): RedisLink {
  const { answerMs = ANSWER_WAITED_FOR_MS, onError = () => {} } = options;
  const library = redisLibrary(address, where);
  library.catch(() => {}); // told by each command
  const nothing = async () => {};
  const kept = keepSession({
    ...redisAt(where),
    open: async (events) => ({
      ...(await openSender(address, await library, events)),
      listen: nothing,
      unlisten: nothing,
    }),
    onError,
  });
  let waiting = 0;

  return {
    async send(key, args) {
      kept.signal.throwIfAborted();
      const size = args.reduce((sum, arg) => sum + arg.length, 0);
      if (waiting > 0 && waiting + size > MAX_WAITING) {
        throw unavailable(where, new Error("too much waits for it already"));
      }
      waiting += size;
      const answer = kept.whenLive(CONNECTION_WAITED_FOR_MS).then((session) => session.send(key, args));
      const settled = () => {
        waiting -= size;
      };
      answer.then(settled, settled);
      try {
        const said = await within(
          answerMs,
          answer.then((value) => ({ value })),
        );
        if (!said) throw new Error(`no answer within ${answerMs} ms`);
        return said.value;
      } catch (error) {
        kept.signal.throwIfAborted();
        throw isReply(error) || error instanceof TidingsError ? error : unavailable(where, error);
      }
    },
    isCluster: async () => (await library).isCluster,
    close: kept.close,
  };
}

/** Whether Redis itself refused, with its error's code first: `NOSCRIPT No matching script`. */
export function isReply(error: unknown, code = "[A-Z]+"): boolean {
  return error instanceof Error && new RegExp(`^${code} `).test(error.message);
}

/** Redis in messages: what it says when it refuses (`WRONGPASS …`) is told as that. */
export function redisAt(where: string): {
  where: string;
  server: string;
  isRefusal: (error: unknown) => boolean;
} {
  return { where, server: "Redis", isRefusal: (error) => isReply(error) };
}

export function unavailable(where: string, cause: unknown): TidingsError {
  return unreachable(redisAt(where), cause);
}

const isDone = (promise: Promise<unknown>) => promise.then(() => true);
