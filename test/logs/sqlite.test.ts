import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { sqliteLog } from "../../src/logs/sqlite.ts";
import { draftUpdate, parseCursor } from "../../src/protocol.ts";
import { logSuite } from "../../src/testing/log-suite.ts";
import { emptyFolder } from "../support/folder.ts";

function folder(): { path: string; dispose: () => Promise<void> } {
  const { path, dispose } = emptyFolder();
  return { path: join(path, "log.db"), dispose };
}

const paths = new WeakMap<object, string>();
function openLog(path: string) {
  const log = sqliteLog({ path });
  paths.set(log, path);
  return log;
}

logSuite(
  { describe, it },
  {
    make: () => {
      const { path, dispose } = folder();
      return { value: openLog(path), dispose };
    },
    reopen: async (log) => openLog(paths.get(log)!),
  },
);

describe("sqlite log", () => {
  it("tells the heads of many channels in parts, and lets others have their turn between them", async () => {
    const log = sqliteLog({ path: ":memory:" });
    const channels = Array.from({ length: 1_000 }, (_, i) => `page-${i}`);
    const entries = await Promise.all(
      channels.map((channel) => log.append(channel, draftUpdate({ a: { show: true, content: "x" } }, []))),
    );
    let turns = 0;
    const count = () => {
      turns++;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    const heads = await log.heads(channels);
    clearImmediate(counting);
    expect(turns).toBe(3);
    expect(heads).toEqual(entries.map(({ cursor }) => cursor));
    await log.close();
  });

  it("refuses a second process on its file, and says why", async () => {
    const { path, dispose } = folder();
    const log = sqliteLog({ path });
    expect(() => sqliteLog({ path })).toThrow(/another process has it open/);
    await log.close();
    await sqliteLog({ path }).close();
    await dispose();
  });

  it("purges tombstones after 30 days, and raises the floor: cursors before them reset, others hold", async () => {
    const { path, dispose } = folder();
    let log = sqliteLog({ path });
    const post = (id: string) => draftUpdate([{ id, show: true, content: id }]);
    await log.append("page", post("a"));
    const { cursor: before } = await log.append("page", post("b"));
    const { cursor: removal } = await log.append("page", draftUpdate([], ["a"]), { idempotencyKey: "key" });
    const { cursor: head } = await log.append("page", post("c"));
    const later = async (days: number) => {
      await log.close();
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + days * 86_400_000 });
      log = sqliteLog({ path });
      await log.append("other", post(`day ${days}`)); // commits after the purge
    };
    try {
      await later(29);
      expect(await log.since("page", before)).toMatchObject({ entry: { removals: ["a"] } });
      await later(2);
      const reset = { reset: expect.stringMatching(new RegExp(`\\.${parseCursor(head)!.seq}$`)) };
      expect(await log.since("page", before)).toEqual(reset);
      const answer = await log.since("page", removal);
      expect("entry" in answer && [...answer.entry.renders.keys()]).toEqual(["c"]);
      // The key is forgotten, too: the same again is a change that changes nothing more.
      expect((await log.append("page", post("d"), { idempotencyKey: "key" })).cursor).not.toBe(removal);
    } finally {
      vi.useRealTimers();
      await log.close();
      await dispose();
    }
  });

  it("begins an epoch with the first reset, for the end may be lost: copies that caches kept are not of it", async () => {
    const { path, dispose } = folder();
    const post = (content: string) => draftUpdate([{ id: "a", show: true, content }]);
    let log = sqliteLog({ path });
    const { cursor: kept } = await log.append("page", post("kept"));
    await log.close();
    copyFileSync(path, `${path}.backup`);
    log = sqliteLog({ path });
    await log.append("page", post("lost"));
    await log.close();
    copyFileSync(`${path}.backup`, path);
    log = sqliteLog({ path });
    try {
      const beyond = `${parseCursor(kept)!.epoch}.${parseCursor(kept)!.seq + 1}`;
      const [head] = await log.heads(["page"]);
      expect(head).toBe(kept);
      const told = (await log.since("page", beyond)) as { reset: string };
      expect(parseCursor(told.reset)).toEqual({
        epoch: expect.not.stringMatching(parseCursor(kept)!.epoch),
        seq: parseCursor(kept)!.seq,
      });
      expect(await log.heads(["page"])).toEqual([told.reset]);
      expect(await log.since("page", kept)).toMatchObject({ entry: { cursor: told.reset } });
      // Once: whoever invents cursors begins no more.
      const { epoch } = parseCursor(told.reset)!;
      expect(await log.since("page", `${epoch}.99`)).toEqual({ reset: told.reset });
      expect((await log.append("page", post("new"))).cursor).toBe(`${epoch}.${parseCursor(kept)!.seq + 1}`);
    } finally {
      await log.close();
      await dispose();
    }
  });

  it("a file that is no database is refused, and let go of", async () => {
    const { path, dispose } = folder();
    writeFileSync(path, "no database".repeat(1_000));
    for (let n = 0; n < 2; n++) {
      expect(() => sqliteLog({ path })).toThrow(/cannot open .*not a database/);
    }
    await dispose();
  });
});
