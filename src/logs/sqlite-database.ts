/** One SQLite file of one process: opened safely, and committed so that what is acknowledged is on disk. */
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { TidingsError } from "../errors.ts";
import type { Row } from "./rows.ts";

export interface Statement {
  all(...values: SQLInputValue[]): Row[];
  get(...values: SQLInputValue[]): Row | undefined;
  iterate(...values: SQLInputValue[]): Iterable<Row>;
  run(...values: SQLInputValue[]): { changes: number | bigint };
}

export interface SqliteDatabase {
  /** Brings `part` of the schema to its newest version: one string of SQL per version, never edited once out. */
  migrate(part: string, versions: readonly string[]): void;
  prepare(sql: string): Statement;
  /** Runs `read` at once; it sees one snapshot. */
  read<T>(read: () => T): T;
  /**
   * Runs `change` in a transaction and resolves when it is on disk. Changes that wait together share one
   * commit, each in its own savepoint: one that throws undoes only itself.
   */
  write<T>(change: () => T): Promise<T>;
  close(): Promise<void>;
}

interface Waiting {
  change: () => unknown;
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
}

/**
 * Opens a database and runs `use` on it; when that throws, the database is closed.
 */
export function withSqlite<T>(path: string, where: string, use: (db: SqliteDatabase) => T): T {
  const db = openSqlite(path, where);
  try {
    return use(db);
  } catch (error) {
    void db.close();
    throw error;
  }
}

/**
 * Opens `path` (or `":memory:"`) for this process alone: a second one is refused with `unavailable`, since two
 * processes on one file would not hear of each other's changes.
 */
function openSqlite(path: string, where: string): SqliteDatabase {
  const lock = path === ":memory:" ? null : lockFile(path, where);
  let db: DatabaseSync;
  try {
    db = openFile(path, where);
  } catch (error) {
    lock?.close();
    throw error;
  }
  let waiting: Waiting[] = [];
  let flush: NodeJS.Immediate | null = null;
  let isClosed = false;

  /** What SQLite says becomes ours; anything else is a defect, and stays what it is. */
  function unavailable(cause: unknown): unknown {
    if (!(cause instanceof Error) || (cause as { code?: unknown }).code !== "ERR_SQLITE_ERROR") return cause;
    return new TidingsError("unavailable", `the database ${path} failed: ${cause.message}`, { where, cause });
  }

  function tries(sql: string): boolean {
    try {
      db.exec(sql);
      return true;
    } catch {
      return false;
    }
  }

  function open(): void {
    if (isClosed) throw new TidingsError("closed", "the database has been closed", { where });
  }

  function commit(): void {
    flush = null;
    const batch = waiting;
    waiting = [];
    const done: (() => void)[] = [];
    // Node 22 does not tell whether a transaction is open.
    let isOpen = false;
    try {
      db.exec("BEGIN IMMEDIATE");
      isOpen = true;
      for (const { change, resolve, reject } of batch) {
        db.exec("SAVEPOINT change");
        try {
          const value = change() as never;
          done.push(() => resolve(value));
        } catch (error) {
          // A full disk may have undone the whole transaction: then there is no savepoint to go back to.
          isOpen = tries("ROLLBACK TO change");
          if (!isOpen) throw error;
          done.push(() => reject(unavailable(error)));
        }
        db.exec("RELEASE change");
      }
      db.exec("COMMIT");
    } catch (error) {
      if (isOpen) tries("ROLLBACK");
      for (const { reject } of batch) reject(unavailable(error));
      return;
    }
    for (const settle of done) settle();
  }

  return {
    migrate(part, versions) {
      db.exec("CREATE TABLE IF NOT EXISTS schema_parts (part TEXT PRIMARY KEY, version INTEGER NOT NULL)");
      const { version = 0 } = (db.prepare("SELECT version FROM schema_parts WHERE part = ?").get(part) ??
        {}) as {
        version?: number;
      };
      if (version > versions.length) {
        throw new TidingsError(
          "unavailable",
          `the database ${path} was made by a newer Tidings (${part} version ${version}, this one knows ${versions.length}); run that one, or restore a backup`,
          { where },
        );
      }
      for (let next = version; next < versions.length; next++) {
        db.exec("BEGIN IMMEDIATE");
        try {
          db.exec(versions[next]!);
          db.prepare("INSERT OR REPLACE INTO schema_parts (part, version) VALUES (?, ?)").run(part, next + 1);
          db.exec("COMMIT");
        } catch (error) {
          tries("ROLLBACK");
          throw unavailable(error);
        }
      }
    },

    prepare(sql) {
      return db.prepare(sql) as Statement;
    },

    read(read) {
      open();
      try {
        return read();
      } catch (error) {
        throw unavailable(error);
      }
    },

    async write(change) {
      open();
      return new Promise((resolve, reject) => {
        waiting.push({ change, resolve, reject });
        flush ??= setImmediate(commit);
      });
    },

    async close() {
      if (isClosed) return;
      isClosed = true;
      if (flush) {
        clearImmediate(flush);
        commit();
      }
      db.close();
      lock?.close();
    },
  };
}

function openFile(path: string, where: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path);
    db.exec(
      "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
    );
    return db;
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new TidingsError("unavailable", `cannot open the database ${path}: ${what}`, { where, cause });
  }
}

/** Holds a lock beside the file for as long as the process lives: the system lets go of it however it ends. */
function lockFile(path: string, where: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(`${path}.lock`);
    lock.exec("PRAGMA busy_timeout = 3000; BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    lock?.close();
    const held = cause instanceof Error && /locked|busy/i.test(cause.message);
    const why = held ? "another process has it open" : cause instanceof Error ? cause.message : String(cause);
    throw new TidingsError("unavailable", `cannot open the database ${path}: ${why}`, { where, cause });
  }
}
