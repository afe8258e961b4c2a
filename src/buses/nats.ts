import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { TidingsError } from "../errors.ts";
import { within } from "../within.ts";
import type { Bus } from "./bus.ts";
import { type BusOnError, type Session, type SessionEvents, sessionBus } from "./sessions.ts";

const WHERE = "nats bus";
const DEFAULT_PORT = 4222;
const CONNECT_WITHIN_MS = 5_000;
/** A server greets whoever connects, before anything else. */
const ANSWER_WITHIN_MS = 3_000;
/** A server that leaves one ping unanswered until the next is taken for gone: noticed in 5 to 10 s. */
const PING_EVERY_MS = 5_000;

/** What is used of a connection of `@nats-io/transport-node` (or `@nats-io/nats-core`). */
export interface NatsConnection {
  readonly info?: { readonly max_payload: number } | undefined;
  publish(subject: string, payload: Uint8Array): void;
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: { string(): string }) => void },
  ): { unsubscribe(): void };
  flush(): Promise<void>;
  status(): AsyncIterable<{ readonly type: string; readonly error?: Error }>;
  close(): Promise<void>;
}

export interface NatsBusOptions {
  /** `nats://host:4222`, `tls://user:password@host`; several servers of a cluster with commas between them. */
  readonly url?: string;
  /** A connection of your own, in place of `url`; it is left open, and how it reconnects is yours. */
  readonly connection?: NatsConnection;
  /** What subjects begin with. Default `tidings`. */
  readonly prefix?: string;
  /** Told what went wrong while nobody waited for an answer. Default: `console.error`. */
  readonly onError?: BusOnError;
}

/**
 * Announces over NATS, on the subject `<prefix>.<base64url of the channel id>`. One connection a process. What is
 * larger than the server's `max_payload` (1 MB unless set otherwise) goes as its cursor alone.
 *
 * @example
 * const bus = natsBus({ url: "nats://127.0.0.1:4222" });
 */
export function natsBus({ url, connection, prefix = "tidings", onError }: NatsBusOptions): Bus {
  const servers = url === undefined ? undefined : parseServers(url);
  if ((servers === undefined) === (connection === undefined)) {
    throw new TidingsError("settings", "give either url or connection", { where: WHERE });
  }
  return sessionBus({
    where: WHERE,
    server: "NATS",
    open: async (events) => {
      if (!connection) return useConnection(await connectTo(servers!), true, prefix, events);
      // It may be cut just now: an answer says that it is back.
      const isBack = await within(
        CONNECT_WITHIN_MS,
        connection.flush().then(() => true),
      );
      if (!isBack) throw new Error("no answer");
      return useConnection(connection, false, prefix, events);
    },
    ...(onError && { onError }),
  });
}

/**
 * A session lasts until the connection is cut, whoever's it is: one of the caller's may reconnect by itself, and is
 * then taken up anew.
 */
function useConnection(
  connection: NatsConnection,
  isOurs: boolean,
  prefix: string,
  { heard, ended, failed }: SessionEvents,
): Session {
  const subscriptions = new Map<string, { unsubscribe(): void }>();
  const subjectOf = (channel: string) => `${prefix}.${Buffer.from(channel).toString("base64url")}`;
  const statuses = connection.status();

  void (async () => {
    for await (const { type, error } of statuses) {
      // "staleConnection" comes before the cut, which a socket that takes nothing more can hold up.
      if (type === "disconnect" || type === "staleConnection") return;
      if (type === "error") failed(error, "server");
    }
  })().finally(() => ended(new Error("the connection was cut")));

  let flush: Promise<void> | undefined;
  /** Resolves when the server has answered to all sent until the end of this turn: one ping for all who ask in it. */
  const answered = (): Promise<void> => {
    flush ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      flush = undefined;
      return connection.flush();
    });
    return flush;
  };

  return {
    maxBytes: connection.info?.max_payload ?? 1_000_000,

    async publish(channel, body) {
      connection.publish(subjectOf(channel), body);
      await answered();
    },

    async listen(channel) {
      let refused: Error | undefined;
      const subscription = connection.subscribe(subjectOf(channel), {
        callback(error, message) {
          if (error === null) heard(channel, message.string());
          else refused = error;
        },
      });
      subscriptions.set(channel, subscription);
      await answered();
      if (refused) throw refused;
    },

    async unlisten(channel) {
      subscriptions.get(channel)?.unsubscribe();
      subscriptions.delete(channel);
    },

    async close() {
      if (isOurs) return connection.close();
      (statuses as { stop?(): void }).stop?.();
      for (const subscription of subscriptions.values()) subscription.unsubscribe();
    },
  };
}

// --- connecting --------------------------------------------------------------------------------------------

interface Server {
  readonly address: string;
  readonly host: string;
  readonly port: number;
}

interface Servers {
  readonly servers: readonly Server[];
  readonly options: {
    readonly user?: string;
    readonly pass?: string;
    readonly token?: string;
    readonly tls?: Record<string, never>;
  };
}

/** NATS's own client takes no credentials from a URL. A user without a password is a token. */
function parseServers(url: string): Servers {
  const urls = url.split(",").map((text) => {
    const trimmed = text.trim();
    const parsed = URL.canParse(trimmed) ? new URL(trimmed) : undefined;
    if (!parsed || !/^(nats|tls):$/.test(parsed.protocol) || parsed.hostname === "") {
      // Without the URL: it may hold a password.
      throw new TidingsError("settings", "url must be nats://host:port or tls://host:port", { where: WHERE });
    }
    return parsed;
  });
  const { username, password, protocol } = urls[0]!;
  const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)];
  return {
    servers: urls.map(({ host, hostname, port }) => ({
      address: host,
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || DEFAULT_PORT),
    })),
    options: {
      ...(user && pass && { user, pass }),
      ...(user && !pass && { token: user }),
      ...(protocol === "tls:" && { tls: {} }),
    },
  };
}

async function connectTo({ servers, options }: Servers): Promise<NatsConnection> {
  let library: typeof import("@nats-io/transport-node");
  try {
    library = await import("@nats-io/transport-node");
  } catch (cause) {
    const detail = "the NATS bus needs a library: npm install @nats-io/transport-node";
    throw new TidingsError("settings", detail, { where: WHERE, cause });
  }
  return library.connect({
    ...options,
    servers: await firstToAnswer(servers),
    name: "tidings",
    reconnect: false,
    timeout: CONNECT_WITHIN_MS,
    pingInterval: PING_EVERY_MS,
    maxPingOut: 1,
  });
}

/** The library keeps a socket open to each server that took it and then stayed silent: it is only shown others. */
async function firstToAnswer(servers: readonly Server[]): Promise<string> {
  let failure: unknown;
  const start = Math.floor(Math.random() * servers.length);
  for (const server of [...servers.slice(start), ...servers.slice(0, start)]) {
    const socket = connectTcp(server);
    try {
      await once(socket, "data", { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      return server.address;
    } catch (error) {
      failure = (error as Error).name === "AbortError" ? new Error("no answer") : error;
    } finally {
      // What is still to come of it must not end the process.
      socket.on("error", () => {}).destroy();
    }
  }
  throw failure;
}
