import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from "vitest";
import { type PostgresDatabase, withPostgres } from "../../src/logs/postgres-database.ts";
import { describeWith } from "../support/describe-with.ts";
import { emptyPostgres, onPostgres } from "../support/postgres.ts";
import { type Service, startService } from "../support/services.ts";

const VERSIONS = ["CREATE TABLE tidings.one (n INTEGER)", "ALTER TABLE tidings.one ADD COLUMN m INTEGER"];

describeWith("postgres", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService("postgres");
  });
  beforeEach(() => emptyPostgres(service.url));
  afterAll(() => service?.close());

  const use = <T>(work: (db: PostgresDatabase) => Promise<T>) =>
    withPostgres({ url: service.url }, { where: "test", max: 2, onError: () => {} }, work);

  async function open(): Promise<PostgresDatabase> {
    const db = await use(async (opened) => opened);
    onTestFinished(() => db.close());
    return db;
  }

  it("brings the schema to its newest version, step by step, once", async () => {
    const db = await open();
    await db.migrate("part", VERSIONS.slice(0, 1));
    await db.migrate("part", VERSIONS);
    await db.migrate("part", VERSIONS);
    await db.migrate("other", []);
    expect(await db.query("SELECT n, m FROM tidings.one")).toEqual([]);
  });

  it("does so once when many start at the same moment", async () => {
    const all = await Promise.all(Array.from({ length: 5 }, open));
    await Promise.all(all.map((db) => db.migrate("part", VERSIONS)));
    expect(await all[0]!.query("SELECT version FROM tidings.schema_parts")).toEqual([{ version: 2 }]);
  });

  it("leaves nothing of a version that fails", async () => {
    const db = await open();
    await expect(db.migrate("part", [VERSIONS[0]!, "nonsense"])).rejects.toMatchObject({
      code: "unavailable",
    });
    await db.migrate("part", VERSIONS);
  });

  it("refuses a database that a newer one made, says so, and lets go of it", async () => {
    await use((db) => db.migrate("part", VERSIONS));
    const older = use((db) => db.migrate("part", VERSIONS.slice(0, 1)));
    await expect(older).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/made by a newer Tidings \(part version 2, this one knows 1\)/),
    });
  });

  it("makes a change whole or not at all, and goes on", async () => {
    const db = await open();
    await db.migrate("part", VERSIONS);
    const defect = new Error("a defect (on purpose)");
    const change = db.write(async (query) => {
      await query("INSERT INTO tidings.one (n) VALUES ($1)", 1);
      throw defect;
    });
    await expect(change).rejects.toBe(defect);
    await db.write((query) => query("INSERT INTO tidings.one (n) VALUES ($1)", 2));
    expect(await db.query("SELECT n FROM tidings.one")).toEqual([{ n: 2 }]);
  });

  it("reads one snapshot, and only reads", async () => {
    const db = await open();
    await db.migrate("part", VERSIONS);
    await db.read(async (query) => {
      expect(await query("SELECT n FROM tidings.one")).toEqual([]);
      await db.write((theirs) => theirs("INSERT INTO tidings.one (n) VALUES ($1)", 1));
      expect(await query("SELECT n FROM tidings.one")).toEqual([]);
    });
    const writing = db.read((query) => query("INSERT INTO tidings.one (n) VALUES ($1)", 2));
    await expect(writing).rejects.toMatchObject({
      message: expect.stringContaining("read-only transaction"),
    });
  });

  it("flushes acknowledged changes even where the server would not, and heeds what it is set to otherwise", async () => {
    const db = await open();
    const inWrite = () => db.write((query) => query("SHOW synchronous_commit"));
    await onPostgres(service.url, "ALTER DATABASE postgres SET synchronous_commit = off");
    const lazy = await open();
    expect(await lazy.write((query) => query("SHOW synchronous_commit"))).toEqual([
      { synchronous_commit: "on" },
    ]);
    expect(await lazy.query("SHOW synchronous_commit")).toEqual([{ synchronous_commit: "off" }]);
    await onPostgres(service.url, "ALTER DATABASE postgres SET synchronous_commit = local");
    const local = await open();
    expect(await local.write((query) => query("SHOW synchronous_commit"))).toEqual([
      { synchronous_commit: "local" },
    ]);
    await onPostgres(service.url, "ALTER DATABASE postgres RESET synchronous_commit");
    expect(await inWrite()).toEqual([{ synchronous_commit: "on" }]);
  });
});
