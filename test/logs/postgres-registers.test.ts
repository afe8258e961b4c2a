import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from "vitest";
import { withPostgres } from "../../src/logs/postgres-database.ts";
import { postgresRegisters } from "../../src/logs/postgres-registers.ts";
import { fingerprint } from "../../src/logs/registers.ts";
import { draftUpdate, parseCursor } from "../../src/protocol.ts";
import { describeWith } from "../support/describe-with.ts";
import { emptyPostgres, onPostgres } from "../support/postgres.ts";
import { type Service, startService } from "../support/services.ts";

const DAY = 86_400_000;

describeWith("postgres", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService("postgres");
  });
  beforeEach(() => emptyPostgres(service.url));
  afterAll(() => service?.close());

  async function open() {
    const options = { where: "test", max: 4, onError: () => {} };
    const opened = await withPostgres({ url: service.url }, options, async (db) => {
      const registers = await postgresRegisters(db, { where: "test", columns: "NULL AS nothing" });
      const append = (name: string, renders: readonly string[], removals: string[] = []) =>
        db.write(async (query) => {
          const list = renders.map((id) => ({ id, show: true, content: id }));
          return registers.append(query, await registers.lockOrAdd(query, name), draftUpdate(list, removals));
        });
      const since = (name: string, cursor: string) =>
        db.read((query) => registers.since(query, name, cursor));
      return { db, registers, append, since };
    });
    onTestFinished(() => opened.db.close());
    return opened;
  }

  it("purges tombstones after 30 days and keys after 2, and raises the floor: cursors before it reset", async () => {
    const { db, registers, append, since } = await open();
    await append("page", ["a"]);
    const { cursor: before } = await append("page", ["b"]);
    const { cursor: removal } = await append("page", [], ["a"]);
    const { cursor: head } = await append("page", ["c"]);
    const { cursor: quiet } = await append("quiet", ["a"]);
    const request = { channel: "page", action: "x", key: "key", body: () => "body" };
    const once = (value: number) => db.write((query) => registers.once(query, request, async () => value));
    const purge = (days: number) => db.write((query) => registers.purge(query, Date.now() + days * DAY));

    await once(1);
    await purge(1);
    expect(await once(2)).toBe(1);
    await purge(3);
    expect(await once(3)).toBe(3);
    await purge(29);
    expect(await since("page", before)).toMatchObject({ entry: { removals: ["a"] } });
    await purge(31);
    expect(await since("page", before)).toEqual({ reset: head });
    const answer = await since("page", removal);
    expect("entry" in answer && [...answer.entry.renders.keys()]).toEqual(["c"]);
    expect(await since("quiet", quiet)).toMatchObject({ entry: { cursor: quiet } });
  });

  it("leaves the purge to another process that is at it", async () => {
    const { db, registers, append, since } = await open();
    const { cursor: before } = await append("page", ["a"]);
    await append("page", [], ["a"]);
    await db.write(async (query) => {
      await query("SELECT pg_advisory_xact_lock(hashtextextended('tidings purge', 0))");
      await db.write((theirs) => registers.purge(theirs, Date.now() + 31 * DAY));
    });
    expect(await since("page", before)).toMatchObject({ entry: { removals: ["a"] } });
  });

  it("purges no key that a change has in hand, and waits for nobody", async () => {
    const { db, registers } = await open();
    const once = (key: string, value: number) => {
      const request = { channel: "page", action: "x", key, body: () => "body" };
      return db.write((query) => registers.once(query, request, async () => value));
    };
    await once("free", 1);
    await once("in hand", 1);
    await db.write(async (query) => {
      const inHand = "SELECT key FROM tidings.requests WHERE key <> ALL($1) FOR UPDATE";
      expect(await query(inHand, [fingerprint("free")])).toHaveLength(1);
      await db.write((theirs) => registers.purge(theirs, Date.now() + 3 * DAY));
    });
    expect([await once("free", 2), await once("in hand", 2)]).toEqual([2, 1]);
  });

  it("a change waits for the one before it on its channel, and for no other's", async () => {
    const { db, registers, append } = await open();
    await append("page", ["a"]);
    const order: string[] = [];
    let second: Promise<unknown> | undefined;
    await db.write(async (query) => {
      const channel = await registers.lockOrAdd(query, "page");
      second = append("page", ["c"]).then(({ cursor }) => order.push(`second ${parseCursor(cursor)!.seq}`));
      await append("other", ["x"]);
      const { cursor } = await registers.append(
        query,
        channel,
        draftUpdate({ b: { show: true, content: "b" } }),
      );
      order.push(`first ${parseCursor(cursor)!.seq}`);
    });
    await second;
    expect(order).toEqual(["first 2", "second 3"]);
  });

  it("a run is the server's start: another zone of time, another connection or another process are the same", async () => {
    const { append } = await open();
    const { cursor } = await append("page", ["a"]);
    await onPostgres(service.url, "ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo'");
    onTestFinished(
      async () => void (await onPostgres(service.url, "ALTER DATABASE postgres RESET TimeZone")),
    );
    const other = await open();
    const { cursor: next } = await other.append("page", ["b"]);
    expect(parseCursor(next)!.epoch).toBe(parseCursor(cursor)!.epoch);
  });
});
