import pg from "pg";

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
