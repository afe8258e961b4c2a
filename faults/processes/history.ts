/** A store's past, and how it is forgotten before its time: nothing that is shown or was acknowledged goes with it. */
import { setTimeout as wait } from "node:timers/promises";
import { withPostgres } from "../../src/logs/postgres-database.ts";
import { postgresRegisters } from "../../src/logs/postgres-registers.ts";

export interface StoredHistory {
  /** The number of the newest update. */
  newest(): Promise<number>;
  /** Whether anything was deleted after update `seq`. */
  hasDeletedSince(seq: number): Promise<boolean>;
  /**
   * Makes what was deleted as old as it must be, and has the store forget it by its own purge: cursors from before the
   * last deletion no longer hold. The keys of requests stay, for those are repeated.
   */
  purge(): Promise<void>;
  close(): Promise<void>;
}

const WHERE = "store's history";
/** A store may still be recovering from what was done to it; a server that its network forgot holds a page's lock for 10 s. */
const PATIENCE_MS = 20_000;

/** @param url of the Postgres that the servers share */
export async function openHistory(url: string): Promise<StoredHistory> {
  const { db, registers } = await patiently(() =>
    withPostgres({ url }, { where: WHERE, max: 2, onError() {} }, async (db) => ({
      db,
      registers: await postgresRegisters(db, { where: WHERE, columns: "title" }),
    })),
  );
  return {
    newest: () =>
      patiently(async () => {
        const [row] = await db.query("SELECT max(seq) AS seq FROM tidings.channels");
        return Number(row!.seq);
      }),
    hasDeletedSince: (seq) =>
      patiently(async () => {
        const found = "SELECT 1 FROM tidings.registers WHERE removed AND seq > $1 LIMIT 1";
        return (await db.query(found, seq)).length > 0;
      }),
    purge: () =>
      patiently(async () => {
        await db.query("UPDATE tidings.registers SET changed = 0 WHERE removed");
        await db.write((query) => registers.purge(query, Date.now()));
        const left = await db.query("SELECT 1 FROM tidings.registers WHERE removed AND changed = 0");
        if (left.length > 0) throw new Error("another process was at it, and began before");
      }),
    close: () => db.close(),
  };
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
      await wait(200);
    }
  }
}
