import pg from "pg";
import type { Service } from "./services.ts";

/** Runs statements on the test's own server. */
export async function onPostgres(url: string, ...statements: readonly string[]): Promise<pg.QueryResult[]> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  try {
    const results = [];
    for (const sql of statements) results.push(await client.query(sql));
    return results;
  } finally {
    await client.end();
  }
}

/** Leaves the database as it was when it was made. */
export async function emptyPostgres(url: string): Promise<void> {
  await onPostgres(url, "SET client_min_messages = warning", "DROP SCHEMA IF EXISTS tidings CASCADE");
}

/** Stops (SIGSTOP) the server with all that it runs: its processes are no group. Returns what wakes it. */
export async function pausePostgres(service: Service): Promise<() => void> {
  const [result] = await onPostgres(
    service.url,
    "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
  );
  const pids = result!.rows.map(({ pid }) => pid as number);
  service.pause();
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  return () => {
    for (const pid of pids) process.kill(pid, "SIGCONT");
    service.resume();
  };
}
