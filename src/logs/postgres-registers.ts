/** A log's registers in PostgreSQL, for the page store that keeps more beside them. */
import { TidingsError } from "../errors.ts";
import { type Announcement, type Cursor, type Draft, formatCursor } from "../protocol.ts";
import type { Query } from "../services/postgres-pool.ts";
import { beginEpoch, type History, headOf, newEpoch, resolveCursor } from "./history.ts";
import { MAX_SINCE_BYTES, type Since } from "./log.ts";
import type { PostgresDatabase } from "./postgres-database.ts";
import { answerSince, applyDraft, fingerprint, type Register, toUpdate } from "./registers.ts";
import {
  type Channel,
  KEYS_KEPT_MS,
  type OnceRequest,
  type Row,
  TOMBSTONES_KEPT_MS,
  toChannel,
  toRegister,
} from "./rows.ts";

const SCHEMA = [
  `
  CREATE TABLE tidings.meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE tidings.channels (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    run TEXT NOT NULL,         -- the server's start that began the present epoch
    epochs TEXT NOT NULL,      -- JSON: [[epoch, first seq], ...], oldest first
    seq BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    floor BIGINT NOT NULL
  );
  CREATE TABLE tidings.registers (
    channel BIGINT NOT NULL REFERENCES tidings.channels ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    show BOOLEAN NOT NULL,
    content TEXT NOT NULL,
    version BIGINT,
    removed BOOLEAN NOT NULL,
    changed BIGINT NOT NULL,   -- ms
    PRIMARY KEY (channel, id)
  );
  CREATE INDEX registers_by_seq ON tidings.registers (channel, seq);
  CREATE INDEX tombstones ON tidings.registers (changed) WHERE removed;
  CREATE TABLE tidings.requests (
    channel TEXT COLLATE "C" NOT NULL, -- its name; they go with it. '' for what is of none
    action TEXT NOT NULL,
    key TEXT NOT NULL,         -- its hash: a key may be longer than an index takes
    fingerprint TEXT NOT NULL,
    result TEXT,               -- JSON; NULL while it is being made
    made BIGINT NOT NULL,      -- ms
    PRIMARY KEY (channel, action, key)
  );
  CREATE INDEX requests_by_age ON tidings.requests (made);
  `,
];

const CHANNEL = "id, name, run, epochs, seq, last_at, floor";
const REGISTER = "id, at, seq, show, content, version, removed";

/** The server's start and timeline, the database and the table's file: with another one the end of the history may be lost. */
const RUN = `concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), left(pg_walfile_name(pg_current_wal_lsn()), 8),
  (SELECT oid FROM pg_database WHERE datname = current_database()), pg_relation_filenode('tidings.channels'::regclass))`;

/** The bytes of HTML in the updates of a channel before this one, of those that are asked for. */
const BYTES_BEFORE = `coalesce(sum(octet_length(content)) OVER
  (ORDER BY seq RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)`;

const SQL = {
  heads: `SELECT name, epochs::json -> -1 ->> 0 AS epoch, seq FROM tidings.channels WHERE name = ANY($1)`,
  addChannel: `INSERT INTO tidings.channels (name, run, epochs, seq, last_at, floor)
    VALUES ($1, '', $2, 0, 0, 0) ON CONFLICT DO NOTHING`,
  begin: `UPDATE tidings.channels SET run = $2, epochs = $3, seq = 0, last_at = 0, floor = 0 WHERE id = $1`,
  run: `SELECT run, ${RUN} AS present FROM tidings.channels WHERE name = $1`,
  beginEpoch: "UPDATE tidings.channels SET run = $2, epochs = $3 WHERE id = $1",
  dropChannel: "DELETE FROM tidings.channels WHERE id = $1",
  dropRegisters: "DELETE FROM tidings.registers WHERE channel = $1",
  dropRequestsOf: "DELETE FROM tidings.requests WHERE channel = $1 AND result IS NOT NULL",
  registers: `SELECT ${REGISTER} FROM tidings.registers WHERE channel = $1 AND id = ANY($2)`,
  put: `WITH advanced AS (
      UPDATE tidings.channels SET run = $2, epochs = $3, seq = $4, last_at = $5 WHERE id = $1
    )
    INSERT INTO tidings.registers (channel, seq, changed, id, at, show, content, version, removed)
    SELECT $1, $4, $6, * FROM unnest
      ($7::text[], $8::bigint[], $9::boolean[], $10::text[], $11::bigint[], $12::boolean[])
    ON CONFLICT (channel, id) DO UPDATE SET at = excluded.at, seq = excluded.seq, show = excluded.show,
      content = excluded.content, version = excluded.version, removed = excluded.removed, changed = excluded.changed`,
  // Up to the first register beyond what one answer takes: that there is more must be seen.
  since: `SELECT ${REGISTER} FROM (
      SELECT *, lag(bytes_before, 1, 0) OVER (ORDER BY seq, id) AS bytes_before_last FROM (
        SELECT *, ${BYTES_BEFORE} AS bytes_before FROM tidings.registers
        WHERE channel = $1 AND seq > $2 AND NOT (removed AND $3::boolean)
      ) AS missed
    ) AS missed
    WHERE bytes_before_last <= ${MAX_SINCE_BYTES} ORDER BY seq, id`,
  view: `SELECT ${REGISTER} FROM tidings.registers WHERE channel = $1 AND NOT removed ORDER BY at DESC`,
  claim: `INSERT INTO tidings.requests (channel, action, key, fingerprint, made) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING RETURNING key`,
  request: "SELECT fingerprint, result FROM tidings.requests WHERE channel = $1 AND action = $2 AND key = $3",
  fulfil: "UPDATE tidings.requests SET result = $4 WHERE channel = $1 AND action = $2 AND key = $3",
  addMeta: "INSERT INTO tidings.meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING value",
  meta: "SELECT value FROM tidings.meta WHERE name = $1",
  purgeLock: "SELECT pg_try_advisory_xact_lock(hashtextextended('tidings purge', 0)) AS mine",
  // In one order, so that no two wait for each other; a change locks only its own channel.
  lockPurged: `SELECT id FROM tidings.channels WHERE id IN
    (SELECT channel FROM tidings.registers WHERE removed AND changed < $1) ORDER BY id FOR UPDATE`,
  raiseFloors: `UPDATE tidings.channels SET floor = greatest(floor, old.seq) FROM
    (SELECT channel, max(seq) AS seq FROM tidings.registers WHERE removed AND changed < $1 GROUP BY channel) AS old
    WHERE channels.id = old.channel AND old.channel = ANY($2)`,
  dropTombstones: "DELETE FROM tidings.registers WHERE removed AND changed < $1 AND channel = ANY($2)",
  // Without waiting for a page that is just deleted with some of them.
  dropRequests: `DELETE FROM tidings.requests WHERE (channel, action, key) IN
    (SELECT channel, action, key FROM tidings.requests WHERE made < $1 FOR UPDATE SKIP LOCKED)`,
};

/** A channel whose row this transaction has locked: nobody else changes it before this one is committed. */
export interface LockedChannel extends Channel {
  readonly name: string;
  /** The run that a change belongs to now. */
  readonly present: string;
  readonly row: Row;
}

/** The log's work, on the `query` of a transaction. */
export interface PostgresRegisters {
  /** Of a channel that nobody has written to. */
  readonly nothing: History;
  find(query: Query, name: string): Promise<Row | undefined>;
  /**
   * Every change begins with it. Its lock makes the order of commits that of `seq`, which no sequence object would.
   */
  lock(query: Query, name: string): Promise<LockedChannel | undefined>;
  /** The same, of a channel that is made when it is missing. */
  lockOrAdd(query: Query, name: string): Promise<LockedChannel>;
  /** Begins a channel's history anew, whatever was before. */
  begin(query: Query, channel: LockedChannel): Promise<void>;
  /** Forgets a channel; its cursors no longer hold. */
  forget(query: Query, channel: LockedChannel): Promise<void>;
  append(query: Query, channel: LockedChannel, draft: Draft): Promise<Announcement>;
  since(query: Query, name: string, cursor: Cursor | null): Promise<Since>;
  /** Whether this run has begun the channel's present epoch. */
  hasBegunEpoch(query: Query, name: string): Promise<boolean>;
  /** Begins an epoch without a change, unless this run has. */
  beginEpoch(query: Query, name: string): Promise<void>;
  heads(query: Query, names: readonly string[]): Promise<Cursor[]>;
  /** Newest place first, without tombstones. */
  view(query: Query, channel: Channel): Promise<Register[]>;
  /** Runs `make` once per key, whoever else runs at the same time; its result (JSON) is kept, and answered again. */
  once<T>(query: Query, request: OnceRequest, make: () => Promise<T>): Promise<T>;
  /** The value kept under `name`, made when there is none. */
  meta(query: Query, name: string, make: () => string): Promise<{ value: string; made: boolean }>;
  /** Drops tombstones and idempotency keys past their time; floors rise. Leaves it to another process that is at it. */
  purge(query: Query, now: number): Promise<void>;
}

export interface PostgresRegistersOptions {
  readonly where: string;
  /** More columns of a channel, of its owner's: they come with its row. */
  readonly columns: string;
}

/** Brings the schema to its newest version, and gives what works on it. */
export async function postgresRegisters(
  db: PostgresDatabase,
  { where, columns }: PostgresRegistersOptions,
): Promise<PostgresRegisters> {
  await db.migrate("log", SCHEMA);
  const sql = {
    find: `SELECT ${CHANNEL}, ${columns} FROM tidings.channels WHERE name = $1`,
    lock: `SELECT ${CHANNEL}, ${columns}, ${RUN} AS present FROM tidings.channels WHERE name = $1 FOR UPDATE`,
    ...SQL,
  };

  async function meta(query: Query, name: string, make: () => string) {
    const [known] = await query(sql.meta, name);
    if (known) return { value: known.value as string, made: false };
    const [added] = await query(sql.addMeta, name, make());
    if (added) return { value: added.value as string, made: true };
    const [theirs] = await query(sql.meta, name);
    return { value: theirs!.value as string, made: false };
  }

  // What a channel without a history calls its beginning; kept, so that a restart resets nobody.
  const { value: epochZero } = await db.write((query) => meta(query, "epoch zero", newEpoch));
  const nothing: History = { epochs: [[epochZero, 0]], seq: 0, floor: 0 };

  async function lock(query: Query, name: string): Promise<LockedChannel | undefined> {
    const [row] = await query(sql.lock, name);
    return row && { ...toChannel(row), name, present: row.present as string, row };
  }

  return {
    nothing,
    meta,
    lock,

    async find(query, name) {
      return (await query(sql.find, name))[0];
    },

    async lockOrAdd(query, name) {
      for (;;) {
        const channel = await lock(query, name);
        if (channel) return channel;
        await query(sql.addChannel, name, JSON.stringify(nothing.epochs));
      }
    },

    async begin(query, { id, name, present }) {
      await query(sql.begin, id, present, JSON.stringify(beginEpoch([], 0)));
      await query(sql.dropRegisters, id);
      await query(sql.dropRequestsOf, name);
    },

    async forget(query, { id, name }) {
      await query(sql.dropChannel, id);
      await query(sql.dropRequestsOf, name);
    },

    async append(query, channel, draft) {
      const rows = await query(sql.registers, channel.id, [...draft.renders.keys(), ...draft.removals]);
      const known = new Map(rows.map((row) => [row.id, toRegister(row)]));
      const { changed, lastAt } = applyDraft(draft, channel, (id) => known.get(id));
      if (changed.length === 0) return { cursor: headOf(channel) };
      const { id, present: run } = channel;
      const seq = channel.seq + 1;
      const epochs = channel.run === run ? channel.epochs : beginEpoch(channel.epochs, seq);
      const lists = columnsOf(changed, ["id", "at", "show", "content", "version", "removed"]);
      await query(sql.put, id, run, JSON.stringify(epochs), seq, lastAt, Date.now(), ...lists);
      return { ...toUpdate(changed), cursor: headOf({ epochs, seq }) };
    },

    async since(query, name, cursor) {
      const [row] = await query(sql.find, name);
      const channel = row && toChannel(row);
      const history = channel ?? nothing;
      const seq = cursor === null ? -1 : resolveCursor(history, cursor);
      if (seq === null) return { reset: headOf(history) };
      const missed =
        channel && seq < channel.seq ? await query(sql.since, channel.id, seq, cursor === null) : [];
      return answerSince(history, missed.map(toRegister));
    },

    async hasBegunEpoch(query, name) {
      const [channel] = await query(sql.run, name);
      return channel === undefined || channel.run === channel.present;
    },

    async beginEpoch(query, name) {
      const channel = await lock(query, name);
      if (!channel || channel.run === channel.present) return;
      const epochs = beginEpoch(channel.epochs, channel.seq + 1);
      await query(sql.beginEpoch, channel.id, channel.present, JSON.stringify(epochs));
    },

    async heads(query, names) {
      const rows = await query(sql.heads, names);
      const heads = new Map(
        rows.map(({ name, epoch, seq }) => [name, formatCursor(epoch as string, Number(seq))]),
      );
      return names.map((name) => heads.get(name) ?? headOf(nothing));
    },

    async view(query, { id }) {
      return (await query(sql.view, id)).map(toRegister);
    },

    async once<T>(query: Query, { channel, action, key, body }: OnceRequest, make: () => Promise<T>) {
      if (key === undefined) return make();
      const request = [channel, action, fingerprint(key)];
      const print = fingerprint(body());
      // Whoever comes at the same time waits here until the first is committed.
      const [claimed] = await query(sql.claim, ...request, print, Date.now());
      if (!claimed) {
        const [before] = await query(sql.request, ...request);
        if (before?.fingerprint === print) return JSON.parse(before.result as string) as T;
        throw new TidingsError("key_reused", "the idempotency key was used for another request", { where });
      }
      const value = await make();
      await query(sql.fulfil, ...request, JSON.stringify(value));
      return value;
    },

    async purge(query, now) {
      const [lock] = await query(sql.purgeLock);
      if (!lock?.mine) return;
      const old = now - TOMBSTONES_KEPT_MS;
      const channels = (await query(sql.lockPurged, old)).map(({ id }) => id);
      await query(sql.raiseFloors, old, channels);
      await query(sql.dropTombstones, old, channels);
      await query(sql.dropRequests, now - KEYS_KEPT_MS);
    },
  };
}

/** Rows as one list per column, as `unnest` takes them. */
function columnsOf<T>(rows: readonly T[], columns: readonly (keyof T)[]): unknown[][] {
  return columns.map((column) => rows.map((row) => row[column]));
}
