import { join } from "node:path";
import { expect, it } from "vitest";
import { withSqlite } from "../../src/logs/sqlite-database.ts";
import { emptyFolder } from "../support/folder.ts";

// `kill -9` cannot show it: what the system holds survives that.
it("a commit waits until the disk has it, for a power cut", async () => {
  const { path, dispose } = emptyFolder();
  const db = withSqlite(join(path, "a.sqlite"), "a test", (opened) => opened);
  const FULL = 2;
  expect(db.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: FULL });
  expect(db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  await db.close();
  dispose();
});
