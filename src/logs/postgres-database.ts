/** Transactions on PostgreSQL, and the versions of the schema. Everything of Tidings is in the schema `tidings`. */
import { TidingsError } from "../errors.ts";
import { openConnections, type PostgresAddress, type Query } from "../services/postgres-pool.ts";

export interface PostgresDatabase {
  /** Brings `part` of the schema to its newest version: one string of SQL per version, never edited once out. */
  migrate(part: string, versions: readonly string[]): Promise<void>;
  /** Runs statements that see one snapshot. */
  read<T>(read: (query: Query) => Promise<T>): Promise<T>;
  /** Runs `change` in a transaction, where each statement sees what was committed before it; resolves when it is on disk. */
  write<T>(change: (query: Query) => Promise<T>): Promise<T>;
  /** One statement alone. */
  query: Query;
  close(): Promise<void>;
}

export interface PostgresDatabaseOptions {
  /** For messages: `"postgres store"`. */
  readonly where: string;
  /** Connections at most, of a pool of our own. */
  readonly max: number;
  readonly onError: (error: unknown, context: { stage: string }) => void;
}

/** For a transaction, with the wait for a connection: what takes longer is given up, here and on the server. */
const WITHIN_MS = 10_000;
const MIGRATED_WITHIN_MS = 600_000;

const LIMITS = `SET LOCAL statement_timeout = ${WITHIN_MS}; SET LOCAL idle_in_transaction_session_timeout = ${WITHIN_MS}`;
const BEGIN_READ = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${LIMITS}`;
// A server that loses acknowledged commits when one of its processes crashes would go on in the same epoch.
const BEGIN_WRITE = `BEGIN ISOLATION LEVEL READ COMMITTED; ${LIMITS};
  SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`;

/** Opens the database and runs `use` on it; when that fails, what was opened is closed. */
export async function withPostgres<T>(
  address: PostgresAddress,
  options: PostgresDatabaseOptions,
  use: (db: PostgresDatabase) => Promise<T>,
): Promise<T> {
  const db = await openPostgres(address, options);
  try {
    return await use(db);
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function openPostgres(
  address: PostgresAddress,
  options: PostgresDatabaseOptions,
): Promise<PostgresDatabase> {
  const { where } = options;
  const connections = await openConnections(address, options);

  function transaction<T>(begin: string, work: (query: Query) => Promise<T>, ms: number): Promise<T> {
    return connections.use(ms, async (query) => {
      try {
        await query(begin);
        const value = await work(query);
        await query("COMMIT");
        return value;
      } catch (error) {
        await query("ROLLBACK").catch(() => {}); // then the connection is not used again
        throw error;
      }
    });
  }

  return {
    query: (text, ...values) => connections.use(WITHIN_MS, (query) => query(text, ...values)),
    read: (read) => transaction(BEGIN_READ, read, WITHIN_MS),
    write: (change) => transaction(BEGIN_WRITE, change, WITHIN_MS),
    close: () => connections.close(),

    migrate(part, versions) {
      const migration = async (query: Query) => {
        // Processes that start at the same moment take turns.
        await query("SELECT pg_advisory_xact_lock(hashtextextended('tidings migrations', 0))");
        const [found] = await query("SELECT to_regclass('tidings.schema_parts') AS parts");
        if (!found?.parts) {
          await query("CREATE SCHEMA IF NOT EXISTS tidings");
          await query("CREATE TABLE tidings.schema_parts (part TEXT PRIMARY KEY, version INTEGER NOT NULL)");
        }
        const [row] = await query("SELECT version FROM tidings.schema_parts WHERE part = $1", part);
        const version = (row?.version ?? 0) as number;
        if (version > versions.length) {
          throw new TidingsError(
            "unavailable",
            `the database was made by a newer Tidings (${part} version ${version}, this one knows ${versions.length}); run that one, or restore a backup`,
            { where },
          );
        }
        if (version === versions.length) return;
        for (const sql of versions.slice(version)) await query(sql);
        await query(
          `INSERT INTO tidings.schema_parts (part, version) VALUES ($1, $2)
           ON CONFLICT (part) DO UPDATE SET version = excluded.version`,
          part,
          versions.length,
        );
      };
      return transaction("BEGIN", migration, MIGRATED_WITHIN_MS);
    },
  };
}
