import { createHash } from "node:crypto";
import { TidingsError } from "../errors.ts";
import {
  checkPostgresUrl,
  openConnections,
  type PostgresAddress,
  type PostgresClient,
  type PostgresPool,
} from "../services/postgres-pool.ts";
import { within } from "../within.ts";
import type { Bus } from "./bus.ts";
import { type BusOnError, type Session, type SessionEvents, sessionBus } from "./sessions.ts";

const WHERE = "postgres bus";
const CONNECT_WITHIN_MS = 5_000;
/** How often a connection is tried, and how long any answer may take: a server that is gone is noticed in 5 to 10 s. */
const TRIED_EVERY_MS = 5_000;
/** What goes to the server in one statement. */
const MAX_BATCH = 200;
/** A notification ends at 7,999 bytes, and a channel id may take 765 of them. */
const MAX_BYTES = 7_200;

const NOTIFY = {
  name: "tidings_notify",
  text: "SELECT pg_notify(name, payload) FROM unnest($1::text[], $2::text[]) AS notification (name, payload)",
};

interface Options {
  /** Told what went wrong while nobody waited for an answer. Default: `console.error`. */
  readonly onError?: BusOnError;
}

export type PostgresBusOptions = Options &
  (
    | {
        /** `postgres://user:password@host/database`. Needs the package `pg`. */
        readonly url: string;
        readonly pool?: undefined;
      }
    | {
        /** A pool of `pg`, two of whose connections the bus takes for itself; the caller closes it. */
        readonly pool: PostgresPool;
        readonly url?: undefined;
      }
  );

/**
 * Announces by `NOTIFY`, for a site that has PostgreSQL anyway. Two connections a process: one listens, one notifies,
 * in statements of its own, for a `NOTIFY` inside a change's transaction would make all commits of the database wait
 * for each other. What is larger than 7,200 bytes goes as its cursor alone. PgBouncer must pool by session here.
 *
 * @example
 * const bus = postgresBus({ url: "postgres://tidings:secret@db/news" });
 */
export function postgresBus({ onError, ...address }: PostgresBusOptions): Bus {
  if (!address.pool) checkPostgresUrl(address.url, WHERE);
  return sessionBus({
    where: WHERE,
    server: "PostgreSQL",
    open: (events) => openSession(address, events),
    ...(onError && { onError }),
  });
}

async function openSession(address: PostgresAddress, events: SessionEvents): Promise<Session> {
  const { heard, ended, failed } = events;
  const connections = await openConnections(address, {
    where: WHERE,
    max: 2,
    onError: (error, { stage }) => failed(error, stage),
  });
  const lines: Line[] = [];
  async function openLine(): Promise<Line> {
    const line = useLine(await connections.connect(CONNECT_WITHIN_MS), ended);
    lines.push(line);
    return line;
  }
  async function close(): Promise<void> {
    for (const line of lines) line.close();
    await connections.close();
  }

  try {
    const listening = await openLine();
    const notifying = await openLine();
    listening.client.on("notification", ({ channel: name, payload = "" }) => {
      const end = payload.indexOf("\n");
      const channel = payload.slice(0, end);
      if (end > 0 && nameOf(channel) === name) return heard(channel, payload.slice(end + 1));
      failed(
        new TidingsError("invalid", `what came on ${name} is no announcement`, { where: WHERE }),
        "message",
      );
    });
    const change = inBatches<string>((statements) => listening.run({ text: statements.join("; ") }));
    const notify = inBatches<readonly [name: string, payload: string]>((notifications) =>
      notifying.run({
        ...NOTIFY,
        values: [notifications.map(([name]) => name), notifications.map(([, payload]) => payload)],
      }),
    );
    return {
      maxBytes: MAX_BYTES,
      publish: (channel, body) => notify([nameOf(channel), `${channel}\n${body}`]),
      listen: (channel) => change(`LISTEN ${nameOf(channel)}`),
      unlisten: (channel) => change(`UNLISTEN ${nameOf(channel)}`),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Names end at 63 bytes: it is a hash of the channel id, which the payload therefore begins with. */
function nameOf(channel: string): string {
  return `tidings_${createHash("sha256").update(channel).digest("hex").slice(0, 40)}`;
}

/** A connection that is kept for as long as a session lasts. */
interface Line {
  readonly client: PostgresClient;
  run(query: Parameters<PostgresClient["query"]>[0]): Promise<void>;
  close(): void;
}

function useLine(client: PostgresClient, ended: (reason: unknown) => void): Line {
  let last: Promise<void> = Promise.resolve();
  client.on("error", ended);
  client.on("end", () => ended(new Error("the connection was cut")));

  function run(query: Parameters<PostgresClient["query"]>[0]): Promise<void> {
    const answer = last.then(async () => {
      if ((await within(TRIED_EVERY_MS, client.query(query))) === undefined) ended(new Error("no answer"));
    });
    last = answer.catch(() => {});
    return answer;
  }

  const timer = setInterval(() => run({ text: "SELECT 1" }).catch(ended), TRIED_EVERY_MS).unref();
  return {
    client,
    run,
    close() {
      clearInterval(timer);
      client.release(true);
    },
  };
}

/** Asks at once; what is asked for until the answer comes goes together in the next statement, in its order. */
function inBatches<T>(ask: (items: readonly T[]) => Promise<void>): (item: T) => Promise<void> {
  const waiting: { readonly item: T; readonly asked: PromiseWithResolvers<void> }[] = [];
  let isAsking = false;

  async function askAll(): Promise<void> {
    isAsking = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, MAX_BATCH);
      try {
        await ask(batch.map(({ item }) => item));
        for (const { asked } of batch) asked.resolve();
      } catch (error) {
        for (const { asked } of batch) asked.reject(error);
      }
    }
    isAsking = false;
  }

  return (item) => {
    const asked = Promise.withResolvers<void>();
    waiting.push({ item, asked });
    if (!isAsking) void askAll();
    return asked.promise;
  };
}
