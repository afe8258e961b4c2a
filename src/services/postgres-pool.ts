/** Connections to PostgreSQL, of the caller's pool or of one of our own: each used for a limited time, never left hanging. */
import { createHash } from "node:crypto";
import { Socket } from "node:net";
import { TidingsError } from "../errors.ts";

export type PostgresRow = Record<string, unknown>;

/** What is used of a pool of `pg`. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
  end(): Promise<void>;
}

/** What is used of a connection out of it. */
export interface PostgresClient {
  query(query: {
    text: string;
    values?: unknown[];
    name?: string;
  }): Promise<{ readonly rows: PostgresRow[] }>;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "notification", listener: (notification: PostgresNotification) => void): unknown;
  /** `true`: it is closed instead of used again. */
  release(destroy?: boolean): void;
}

export interface PostgresNotification {
  readonly channel: string;
  readonly payload?: string | undefined;
}

/** Where PostgreSQL is: a URL, for which a pool is opened, or a pool that is the caller's to close. */
export type PostgresAddress =
  | { readonly url: string; readonly pool?: undefined }
  | { readonly pool: PostgresPool; readonly url?: undefined };

/** Runs one statement and answers with its rows. Its text must be one of few: it is prepared, once per connection. */
export type Query = (text: string, ...values: unknown[]) => Promise<PostgresRow[]>;

export interface Connections {
  /**
   * Runs `work` on a connection that nobody else has, within `ms` from now. Rejects with what `work` throws, with
   * `unavailable` when the server fails or is late, with `closed` after `close()`. A connection whose last statement
   * failed is not used again.
   */
  use<T>(ms: number, work: (query: Query) => Promise<T>): Promise<T>;
  /** A connection to keep for long: whoever asks releases it, and hears its errors. */
  connect(ms: number): Promise<PostgresClient>;
  /** Lets work that has begun end, for two seconds, then cuts it off. */
  close(): Promise<void>;
}

export interface ConnectionsOptions {
  /** For messages: `"postgres store"`. */
  readonly where: string;
  /** Connections at most, of a pool of our own. */
  readonly max: number;
  /** Told when a connection that nobody uses is lost. */
  readonly onError: (error: unknown, context: { stage: string }) => void;
}

const CONNECT_WITHIN_MS = 5_000;
const CLOSE_WITHIN_MS = 2_000;

/** Rejects with `settings` when the URL is none, or when there is one and `pg` is not installed. */
export async function openConnections(
  { url, pool: given }: PostgresAddress,
  { where, max, onError }: ConnectionsOptions,
): Promise<Connections> {
  if (!given) checkPostgresUrl(url, where);
  const sockets = new Set<Socket>();
  const pool = given ?? (await createPool(url, max, where, sockets));
  const cutting = new AbortController();
  const running = new Set<Promise<unknown>>();
  const heard = new WeakSet<PostgresClient>();
  let isClosed = false;

  // An idle connection's end reaches nobody else, and an event without a listener would end the process.
  const idleLost = (error: Error) => onError(failed(error), { stage: "connection" });
  pool.on("error", idleLost);

  /** What the server or the library says becomes ours. It quotes no URL, and so no password. */
  function failed(cause: unknown): TidingsError {
    if (cause instanceof TidingsError) return cause;
    const { message, code } = cause as { message?: string; code?: string };
    if (code === NOT_TEXT) return new TidingsError("invalid", "text must not hold U+0000", { where, cause });
    return new TidingsError("unavailable", `the database failed: ${message || code}`, { where, cause });
  }

  /** `promise`, or a rejection when it takes longer or all is closed. */
  function within<T>(ms: number, promise: Promise<T>): Promise<T> {
    const { promise: cut, reject } = Promise.withResolvers<never>();
    const late = () => reject(failed(new Error("it did not answer in time")));
    const closed = () => reject(new TidingsError("closed", "it was closed before it was done", { where }));
    const timer = setTimeout(late, ms);
    cutting.signal.addEventListener("abort", closed);
    return Promise.race([promise, cut]).finally(() => {
      clearTimeout(timer);
      cutting.signal.removeEventListener("abort", closed);
    });
  }

  async function connect(ms: number): Promise<PostgresClient> {
    const connecting = (async () => pool.connect())();
    try {
      const client = await within(ms, connecting);
      // While it is in use the pool does not hear its errors; its queries reject, too.
      if (!heard.has(client)) client.on("error", () => {});
      heard.add(client);
      return client;
    } catch (error) {
      connecting.then(
        (late) => late.release(),
        () => {},
      );
      throw failed(error);
    }
  }

  async function use<T>(ms: number, work: (query: Query) => Promise<T>): Promise<T> {
    const end = performance.now() + ms;
    const client = await connect(ms);
    let isSound = true;
    let isReadOnly = false;
    let isDone = false;
    const query: Query = async (text, ...values) => {
      isSound = false;
      try {
        const { rows } = await client.query(
          values.length > 0 ? { name: nameOf(text), text, values } : { text },
        );
        isSound = true;
        return rows;
      } catch (error) {
        isReadOnly ||= (error as { code?: string }).code === READ_ONLY;
        throw failed(error);
      }
    };
    const working = work(query).finally(() => {
      isDone = true;
    });
    try {
      return await within(end - performance.now(), working);
    } finally {
      client.release(!isSound || !isDone || isReadOnly);
    }
  }

  return {
    async use(ms, work) {
      if (isClosed) throw new TidingsError("closed", "it has been closed", { where });
      const done = use(ms, work);
      running.add(done);
      try {
        return await done;
      } finally {
        running.delete(done);
      }
    },

    async connect(ms) {
      if (isClosed) throw new TidingsError("closed", "it has been closed", { where });
      return connect(ms);
    },

    async close() {
      if (isClosed) return;
      isClosed = true;
      await within(CLOSE_WITHIN_MS, Promise.allSettled(running)).catch(() => {});
      cutting.abort();
      if (given) return void pool.removeListener("error", idleLost);
      const ended = pool.end();
      // A server that answers nothing, not even this end, would keep the process alive.
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}

/** Throws `settings` when it is none, without quoting it: it may hold a password. */
export function checkPostgresUrl(url: string | undefined, where: string): void {
  if (/^postgres(ql)?:$/.test(URL.parse(url ?? "")?.protocol ?? "")) return;
  throw new TidingsError("settings", "the URL must be postgres://user:password@host/database", { where });
}

/** `sockets`: those of its connections are kept there. */
async function createPool(
  url: string,
  max: number,
  where: string,
  sockets: Set<Socket>,
): Promise<PostgresPool> {
  const { default: pg } = await import("pg").catch((cause: unknown) => {
    throw new TidingsError("settings", "a PostgreSQL URL needs the package pg: npm install pg", {
      where,
      cause,
    });
  });
  return new pg.Pool({
    connectionString: url,
    max,
    fallback_application_name: "tidings",
    connectionTimeoutMillis: CONNECT_WITHIN_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    onConnect: refuseStandby,
    stream() {
      const socket = new Socket();
      sockets.add(socket.once("close", () => sockets.delete(socket)));
      return socket;
    },
  });
}

/** What a standby answers may be old, and a cursor from it would be a lie. */
async function refuseStandby(client: Pick<PostgresClient, "query">): Promise<void> {
  const query = { text: "SELECT pg_is_in_recovery() AS standby", query_timeout: CONNECT_WITHIN_MS };
  const { rows } = await client.query(query);
  if (rows[0]?.standby) throw new Error("the server is a standby; only a primary will do");
}

/** SQLSTATE `read_only_sql_transaction`: a connection stays so after its server may be written to again. */
const READ_ONLY = "25006";

/** SQLSTATE `character_not_in_repertoire`: U+0000 in a text. */
const NOT_TEXT = "22021";

const names = new Map<string, string>();

/** Statements are prepared under names that depend on their text alone. */
function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `tidings_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
    names.set(text, name);
  }
  return name;
}
