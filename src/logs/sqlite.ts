import { setImmediate as nextTurn } from "node:timers/promises";
import { TidingsError } from "../errors.ts";
import type { Announcement, Cursor, Draft } from "../protocol.ts";
import { beginEpoch, type History, headOf, newEpoch, resolveCursor } from "./history.ts";
import type { AppendOptions, Log, Since } from "./log.ts";
import { answerSince, applyDraft, fingerprint, type Register, toUpdate } from "./registers.ts";
import {
  type Channel,
  KEYS_KEPT_MS,
  keepPurged,
  type OnceRequest,
  type Row,
  TOMBSTONES_KEPT_MS,
  toChannel,
  toRegister,
} from "./rows.ts";
import { type SqliteDatabase, withSqlite } from "./sqlite-database.ts";

/** About a millisecond's worth. */
const HEADS_A_TURN = 250;

const SCHEMA = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,         -- the process that began the present epoch
    epochs TEXT NOT NULL,      -- JSON: [[epoch, first seq], ...], oldest first
    seq INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    floor INTEGER NOT NULL
  );
  CREATE TABLE registers (
    channel INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    show INTEGER NOT NULL,
    content TEXT NOT NULL,
    version INTEGER,
    removed INTEGER NOT NULL,
    changed INTEGER NOT NULL,  -- ms
    PRIMARY KEY (channel, id)
  ) WITHOUT ROWID;
  CREATE INDEX registers_by_seq ON registers (channel, seq);
  CREATE INDEX tombstones ON registers (changed) WHERE removed = 1;
  CREATE TABLE requests (
    channel TEXT NOT NULL,     -- its name; they go with it. '' for what is of none
    action TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT NOT NULL,      -- JSON
    made INTEGER NOT NULL,     -- ms
    PRIMARY KEY (channel, action, key)
  ) WITHOUT ROWID;
  CREATE INDEX requests_by_age ON requests (made);
  `,
];

/**
 * The log's work inside a transaction of its database, for those who keep more in it (the page store). All of
 * it must run in the `read` or `write` of that database.
 */
export interface SqliteRegisters {
  find(name: string): Channel | undefined;
  head(name: string): Cursor;
  /** Begins a channel's history anew, whatever was before. */
  begin(name: string): void;
  /** Forgets a channel; its cursors no longer hold. */
  forget(name: string): void;
  append(name: string, draft: Draft): Announcement;
  since(name: string, cursor: Cursor | null): Since;
  /** Whether this run has begun the channel's present epoch. */
  hasBegunEpoch(name: string): boolean;
  /** Begins an epoch without a change, unless this run has. */
  beginEpoch(name: string): void;
  /** A post's register, tombstones too. */
  register(channel: Channel, id: string): Register | undefined;
  /** Newest place first, without tombstones. */
  view(channel: Channel): Register[];
  /** Runs `make` once per key; its result (JSON) is kept, and answered to the same request again. */
  once<T>(request: OnceRequest, make: () => T): { value: T; repeated: boolean };
  /** The value kept under `name`, made when there is none. */
  meta(name: string, make: () => string): { value: string; made: boolean };
  /** Drops tombstones and idempotency keys past their time; floors rise. */
  purge(now: number): void;
}

export function sqliteRegisters(db: SqliteDatabase, where: string): SqliteRegisters {
  db.migrate("log", SCHEMA);
  // Another process, or this one before a crash, may have given out numbers that did not reach the disk.
  const run = newEpoch();
  const sql = {
    channel: db.prepare("SELECT * FROM channels WHERE name = ?"),
    addChannel: db.prepare(
      "INSERT INTO channels (name, run, epochs, seq, last_at, floor) VALUES (?, ?, ?, 0, 0, 0) RETURNING *",
    ),
    dropChannel: db.prepare("DELETE FROM channels WHERE name = ?"),
    advance: db.prepare("UPDATE channels SET run = ?, epochs = ?, seq = ?, last_at = ? WHERE id = ?"),
    register: db.prepare("SELECT * FROM registers WHERE channel = ? AND id = ?"),
    put: db.prepare(
      `INSERT INTO registers (channel, id, at, seq, show, content, version, removed, changed)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (channel, id) DO UPDATE SET at = excluded.at, seq = excluded.seq, show = excluded.show,
         content = excluded.content, version = excluded.version, removed = excluded.removed, changed = excluded.changed`,
    ),
    since: db.prepare("SELECT * FROM registers WHERE channel = ? AND seq > ? ORDER BY seq"),
    all: db.prepare("SELECT * FROM registers WHERE channel = ? AND removed = 0 ORDER BY seq"),
    view: db.prepare("SELECT * FROM registers WHERE channel = ? AND removed = 0 ORDER BY at DESC"),
    request: db.prepare(
      "SELECT fingerprint, result FROM requests WHERE channel = ? AND action = ? AND key = ?",
    ),
    addRequest: db.prepare(
      "INSERT INTO requests (channel, action, key, fingerprint, result, made) VALUES (?, ?, ?, ?, ?, ?)",
    ),
    meta: db.prepare("SELECT value FROM meta WHERE name = ?"),
    addMeta: db.prepare("INSERT INTO meta (name, value) VALUES (?, ?)"),
    raiseFloors: db.prepare(
      `UPDATE channels SET floor = max(floor, old.seq)
       FROM (SELECT channel, max(seq) AS seq FROM registers WHERE removed = 1 AND changed < ? GROUP BY channel) AS old
       WHERE channels.id = old.channel`,
    ),
    dropTombstones: db.prepare("DELETE FROM registers WHERE removed = 1 AND changed < ?"),
    dropRequestsOf: db.prepare("DELETE FROM requests WHERE channel = ?"),
    dropRequests: db.prepare("DELETE FROM requests WHERE made < ?"),
  };

  function meta(name: string, make: () => string): { value: string; made: boolean } {
    const row = sql.meta.get(name);
    if (row) return { value: row.value as string, made: false };
    const value = make();
    sql.addMeta.run(name, value);
    return { value, made: true };
  }

  // What a channel without a history calls its beginning; kept, so that a restart resets nobody.
  const { value: epochZero } = meta("epoch zero", newEpoch);
  const nothing: History = { epochs: [[epochZero, 0]], seq: 0, floor: 0 };

  function find(name: string): Channel | undefined {
    const row = sql.channel.get(name);
    return row && toChannel(row);
  }

  function head(name: string): Cursor {
    return headOf(find(name) ?? nothing);
  }

  function register(channel: Channel, id: string): Register | undefined {
    const row = sql.register.get(channel.id, id);
    return row && toRegister(row);
  }

  function forget(name: string): void {
    sql.dropChannel.run(name);
    sql.dropRequestsOf.run(name);
  }

  return {
    find,
    head,
    register,
    meta,
    forget,

    begin(name) {
      forget(name);
      sql.addChannel.get(name, run, JSON.stringify(beginEpoch([], 0)));
    },

    append(name, draft) {
      const channel = find(name) ?? toChannel(sql.addChannel.get(name, "", JSON.stringify(nothing.epochs))!);
      const { changed, lastAt } = applyDraft(draft, channel, (id) => register(channel, id));
      if (changed.length === 0) return { cursor: head(name) };
      const seq = channel.seq + 1;
      const epochs = channel.run === run ? channel.epochs : beginEpoch(channel.epochs, seq);
      sql.advance.run(run, JSON.stringify(epochs), seq, lastAt, channel.id);
      const now = Date.now();
      for (const { id, at, show, content, version, removed } of changed) {
        sql.put.run(channel.id, id, at, seq, Number(show), content, version, Number(removed), now);
      }
      return { ...toUpdate(changed), cursor: headOf({ epochs, seq }) };
    },

    since(name, cursor) {
      const channel = find(name);
      const history = channel ?? nothing;
      if (cursor === null) return answerSince(history, channel ? registers(sql.all.iterate(channel.id)) : []);
      const seq = resolveCursor(history, cursor);
      if (seq === null) return { reset: head(name) };
      return answerSince(history, channel ? registers(sql.since.iterate(channel.id, seq)) : []);
    },

    hasBegunEpoch: (name) => (find(name)?.run ?? run) === run,

    beginEpoch(name) {
      const channel = find(name);
      if (!channel || channel.run === run) return;
      const { id, seq, lastAt } = channel;
      sql.advance.run(run, JSON.stringify(beginEpoch(channel.epochs, seq + 1)), seq, lastAt, id);
    },

    view(channel) {
      return sql.view.all(channel.id).map(toRegister);
    },

    once<T>({ channel, action, key, body }: OnceRequest, make: () => T) {
      if (key === undefined) return { value: make(), repeated: false };
      const print = fingerprint(body());
      const before = sql.request.get(channel, action, key);
      if (before && before.fingerprint !== print) {
        throw new TidingsError("key_reused", "the idempotency key was used for another request", { where });
      }
      if (before) return { value: JSON.parse(before.result as string) as T, repeated: true };
      const value = make();
      sql.addRequest.run(channel, action, key, print, JSON.stringify(value), Date.now());
      return { value, repeated: false };
    },

    purge(now) {
      sql.raiseFloors.run(now - TOMBSTONES_KEPT_MS);
      sql.dropTombstones.run(now - TOMBSTONES_KEPT_MS);
      sql.dropRequests.run(now - KEYS_KEPT_MS);
    },
  };
}

/**
 * The log over registers in a database: shared by the plain log and the page store.
 *
 * @param mayAppend throws for channels that only their owner may append to
 */
export function sqliteLogMethods(
  db: SqliteDatabase,
  registers: SqliteRegisters,
  mayAppend: (channel: string) => void = () => {},
): Omit<Log, "close"> {
  return {
    async append(channel: string, update: Draft, { idempotencyKey }: AppendOptions = {}) {
      return db.write(() => {
        mayAppend(channel);
        let announcement: Announcement | undefined;
        const { value } = registers.once(
          { channel, action: "append", key: idempotencyKey, body: () => update },
          () => {
            announcement = registers.append(channel, update);
            return { cursor: announcement.cursor };
          },
        );
        return announcement ?? value;
      });
    },
    async since(channel, cursor) {
      const ask = () => db.read(() => registers.since(channel, cursor));
      const answer = ask();
      if (!("reset" in answer) || registers.hasBegunEpoch(channel)) return answer;
      // The end may be lost: a cache's copy of it must not be of the epoch that the reader is told to go on in.
      await db.write(() => registers.beginEpoch(channel));
      return ask();
    },
    async heads(channels) {
      const heads: Cursor[] = [];
      while (heads.length < channels.length) {
        // SQLite answers within this thread: between the parts of a long answer readers are to have their turn.
        if (heads.length > 0) await nextTurn();
        const part = channels.slice(heads.length, heads.length + HEADS_A_TURN);
        heads.push(...db.read(() => part.map(registers.head)));
      }
      return heads;
    },
  };
}

/**
 * A log in an SQLite file: it survives its process. One process a file.
 *
 * @param options.path a file, made when missing, or `":memory:"`
 * @example
 * const log = sqliteLog({ path: "./data/log.db" });
 */
export function sqliteLog({ path }: { readonly path: string }): Log {
  const where = "sqlite log";
  return withSqlite(path, where, (db) => {
    const registers = sqliteRegisters(db, where);
    const endPurge = keepPurged((now) => db.write(() => registers.purge(now)));
    return {
      ...sqliteLogMethods(db, registers),
      async close() {
        endPurge();
        await db.close();
      },
    };
  });
}

function* registers(rows: Iterable<Row>): Generator<Register> {
  for (const row of rows) yield toRegister(row);
}
