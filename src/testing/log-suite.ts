import assert from "node:assert/strict";
import type { Log } from "../logs/log.ts";
import { type Announcement, draftUpdate, type Entry, parseCursor, type RendersInput } from "../protocol.ts";
import { type Made, type Runner, withMade } from "./runner.ts";

export interface LogSuiteOptions {
  /** Makes an empty log. */
  readonly make: () => Promise<Made<Log>> | Made<Log>;
  /** Opens the log anew over the same storage after it was closed; left out: it does not outlive its process. */
  readonly reopen?: (log: Log) => Promise<Log>;
}

/**
 * What a log must do to be one.
 *
 * @example
 * import { describe, it } from "vitest";
 * logSuite({ describe, it }, { make: () => ({ value: memoryLog() }) });
 */
export function logSuite({ describe, it }: Runner, { make, reopen }: LogSuiteOptions): void {
  const test = (name: string, body: (log: Log) => Promise<void>) => it(name, () => withMade(make, body));

  describe("log", () => {
    test("numbers updates one by one, in one epoch", async (log) => {
      const cursors = [];
      for (let n = 1; n <= 3; n++)
        cursors.push((await log.append("page", shown({ [n]: `post ${n}` }))).cursor);
      const parts = cursors.map((cursor) => parseCursor(cursor)!);
      assert.deepEqual(
        parts.map(({ seq }) => seq),
        [1, 2, 3],
      );
      assert.equal(new Set(parts.map(({ epoch }) => epoch)).size, 1);
      assert.deepEqual(await log.heads(["page"]), [cursors[2]]);
    });

    test("answers what came after a cursor, and nothing at the head", async (log) => {
      const first = await append(log, "page", shown({ a: "A" }));
      await append(log, "page", shown({ b: "B" }));
      const head = await append(log, "page", shown({ c: "C" }));
      assert.deepEqual(plain(await since(log, "page", first.cursor)), {
        renders: { b: ["B", 2], c: ["C", 3] },
        removals: [],
        cursor: head.cursor,
      });
      assert.deepEqual(plain(await since(log, "page", head.cursor)), {
        renders: {},
        removals: [],
        cursor: head.cursor,
      });
    });

    test("answers from the beginning of a channel that nobody has written to", async (log) => {
      const [start] = await log.heads(["page"]);
      assert.equal(parseCursor(start)?.seq, 0);
      assert.deepEqual(plain(await since(log, "page", start!)), { renders: {}, removals: [], cursor: start });
      await append(log, "page", shown({ a: "A" }));
      assert.deepEqual(plain(await since(log, "page", start!)).renders, { a: ["A", 1] });
    });

    test("compacts: one render per post however often it changed", async (log) => {
      const start = (await log.heads(["page"]))[0]!;
      for (let n = 0; n < 50; n++) await append(log, "page", shown({ [`post ${n % 5}`]: `version ${n}` }));
      const { renders } = await since(log, "page", start);
      assert.deepEqual(
        [...renders].map(([id, { content }]) => [id, content]),
        [0, 1, 2, 3, 4].map((n) => [`post ${n}`, `version ${45 + n}`]),
      );
    });

    test("gives places that grow, and keeps a post's place through edits and hiding", async (log) => {
      const first = await append(log, "page", draftUpdate([post("9", "nine"), post("1", "one")]));
      assert.deepEqual(plain(first).renders, { 9: ["nine", 1], 1: ["one", 2] });
      assert.deepEqual(
        [...first.renders.keys()],
        ["9", "1"],
        "oldest place first, though ids look like integers",
      );
      await append(log, "page", draftUpdate([{ id: "9", show: false, content: "secret" }]));
      const again = await append(log, "page", shown({ 9: "nine again" }));
      assert.deepEqual(plain(again).renders, { 9: ["nine again", 1] });
    });

    test("a hidden post has a place and no text", async (log) => {
      const start = (await log.heads(["page"]))[0]!;
      await append(log, "page", draftUpdate([{ id: "a", show: false, content: "secret" }]));
      const { renders } = await since(log, "page", start);
      assert.deepEqual(renders.get("a"), { show: false, content: "", at: 1 });
    });

    test("tells of removals, of posts it never saw too, and only once", async (log) => {
      const start = (await log.heads(["page"]))[0]!;
      await append(log, "page", shown({ a: "A" }));
      const gone = await append(log, "page", draftUpdate({}, ["a", "never seen"]));
      assert.deepEqual([...gone.removals].sort(), ["a", "never seen"]);
      const repeated = await log.append("page", draftUpdate({}, ["a"]));
      assert.deepEqual(repeated, { cursor: gone.cursor });
      const { renders, removals } = await since(log, "page", start);
      assert.equal(renders.size, 0);
      assert.deepEqual([...removals].sort(), ["a", "never seen"]);
    });

    test("applies renders first, then removals", async (log) => {
      const update = await append(log, "page", draftUpdate([post("a", "A"), post("b", "B")], ["a"]));
      assert.deepEqual(plain(update), { renders: { b: ["B", 1] }, removals: ["a"], cursor: update.cursor });
    });

    test("a post that comes back after its removal is new: it goes on top", async (log) => {
      await append(log, "page", draftUpdate([post("a", "A"), post("b", "B")]));
      await append(log, "page", draftUpdate({}, ["a"]));
      const back = await append(log, "page", shown({ a: "A again" }));
      assert.equal(back.renders.get("a")?.at, 3);
    });

    test("an update that changes nothing gets no number", async (log) => {
      const { cursor } = await append(log, "page", shown({ a: "A" }));
      assert.deepEqual(await log.append("page", shown({ a: "A" })), { cursor });
      assert.deepEqual(await log.append("page", draftUpdate({})), { cursor });
    });

    test("ignores a version older than the one it has", async (log) => {
      const versioned = (content: string, version: number) =>
        draftUpdate([{ id: "a", show: true, content, version }]);
      const { cursor } = await append(log, "page", versioned("second", 2));
      assert.deepEqual(await log.append("page", versioned("first", 1)), { cursor });
      const third = await append(log, "page", versioned("third", 3));
      assert.equal(third.renders.get("a")?.content, "third");
    });

    test("an idempotency key makes a change once", async (log) => {
      const key = { idempotencyKey: "key 1" };
      const first = await log.append("page", shown({ a: "A" }), key);
      await append(log, "page", shown({ a: "changed since" }));
      assert.deepEqual(await log.append("page", shown({ a: "A" }), key), { cursor: first.cursor });
      await assert.rejects(log.append("page", shown({ a: "other" }), key), { code: "key_reused" });
      await log.append("another page", shown({ a: "other" }), key);
      const { renders } = await since(log, "page", null);
      assert.equal(renders.get("a")?.content, "changed since");
    });

    test("resets cursors it cannot answer, with the head", async (log) => {
      const { cursor: head } = await append(log, "page", shown({ a: "A" }));
      const { epoch, seq } = parseCursor(head)!;
      for (const cursor of [`${epoch}.${seq + 1}`, "unknown.0", "unknown.1", "no cursor", ".", "x.-1"]) {
        assert.deepEqual(await log.since("page", cursor), { reset: head }, cursor);
      }
    });

    test("keeps channels apart, whatever they are called", async (log) => {
      const names = [
        "a",
        "A",
        "é",
        "-100123",
        "__proto__",
        "constructor",
        "%41",
        "日本",
        "x".repeat(255),
        "💥",
      ];
      for (const [i, name] of names.entries()) await append(log, name, shown({ [`post ${i}`]: name }));
      for (const [i, name] of names.entries()) {
        assert.deepEqual([...(await since(log, name, null)).renders.keys()], [`post ${i}`]);
      }
      assert.equal(new Set((await log.heads(names)).map((head) => parseCursor(head)!.seq)).size, 1);
      assert.equal((await log.heads([...names, "nobody's"])).length, names.length + 1);
    });

    test("keeps posts apart, whatever they are called", async (log) => {
      const ids = ["__proto__", "constructor", "10", "9", "é", '"<&>', "y".repeat(255)];
      await append(log, "page", draftUpdate(ids.map((id) => post(id, `content of ${id}`))));
      const { renders } = await since(log, "page", null);
      assert.deepEqual(
        [...renders].map(([id, { content }]) => [id, content]),
        ids.map((id) => [id, `content of ${id}`]),
      );
    });

    test("cuts a long answer between updates, each part complete up to its cursor", async (log) => {
      const start = (await log.heads(["page"]))[0]!;
      const half = "日".repeat(130_000); // bytes count, not characters
      for (const id of ["a", "b", "c", "d", "e"]) await append(log, "page", shown({ [id]: half + id }));
      const ids: string[] = [];
      let parts = 0;
      for (let cursor = start, more = true; more; parts++) {
        const answer = await log.since("page", cursor);
        assert.ok("entry" in answer);
        ids.push(...answer.entry.renders.keys());
        ({ more } = answer);
        ({ cursor } = answer.entry);
      }
      assert.deepEqual(ids, ["a", "b", "c", "d", "e"]);
      assert.ok(parts >= 2, `in ${parts} parts`);
    });

    test("an update of more than 1 MB is one part, and what came after it the next", async (log) => {
      const start = (await log.heads(["page"]))[0]!;
      const large = "x".repeat(600_000);
      const both = await append(log, "page", shown({ a: large, b: large }));
      const last = await append(log, "page", shown({ c: "C" }));
      const first = await log.since("page", start);
      assert.ok("entry" in first);
      assert.deepEqual([[...first.entry.renders.keys()], first.entry.cursor], [["a", "b"], both.cursor]);
      assert.equal(first.more, true);
      const second = await log.since("page", both.cursor);
      assert.ok("entry" in second);
      assert.deepEqual([[...second.entry.renders.keys()], second.entry.cursor], [["c"], last.cursor]);
      assert.equal(second.more, false);
    });

    test("takes 1 MB posts and any text as it is, but for U+0000", async (log) => {
      const texts = ["é".repeat(500_000), '</script>"\\\n\u2028', "a\u0000b", "💥"];
      await append(log, "page", draftUpdate(texts.map((text, i) => post(String(i), text))));
      const { renders } = await since(log, "page", null);
      assert.deepEqual(
        [...renders.values()].map(({ content }) => content),
        texts.map((text) => text.replace("\0", "\ufffd")),
      );
    });

    test("numbers concurrent updates without a gap or a double", async (log) => {
      const entries = await Promise.all(
        Array.from({ length: 40 }, (_, n) => append(log, "page", shown({ [`post ${n}`]: "x" }))),
      );
      const seqs = entries.map(({ cursor }) => parseCursor(cursor)!.seq).sort((a, b) => a - b);
      assert.deepEqual(
        seqs,
        Array.from({ length: 40 }, (_, n) => n + 1),
      );
      const places = [...(await since(log, "page", null)).renders.values()].map(({ at }) => at);
      assert.deepEqual(
        places,
        Array.from({ length: 40 }, (_, n) => n + 1),
      );
    });

    test("after close() it rejects with closed", async (log) => {
      await log.close();
      await assert.rejects(log.append("page", shown({ a: "A" })), { code: "closed" });
      await assert.rejects(log.since("page", null), { code: "closed" });
      await assert.rejects(log.heads(["page"]), { code: "closed" });
    });

    if (reopen) {
      const outlived = (name: string, body: (log: Log, again: () => Promise<Log>) => Promise<void>) =>
        it(name, async () => {
          const { value, dispose } = await make();
          let log = value;
          try {
            await body(log, async () => {
              await log.close();
              log = await reopen(log);
              return log;
            });
          } finally {
            await log.close();
            await dispose?.();
          }
        });

      outlived("a restart resets no reader, and what comes after is another epoch", async (log, again) => {
        const start = (await log.heads(["page", "quiet"])) as [string, string];
        const before = await append(log, "page", shown({ a: "A" }));
        const second = await again();
        assert.deepEqual(await second.heads(["page", "quiet"]), [before.cursor, start[1]]);
        assert.deepEqual(plain(await since(second, "page", before.cursor)).renders, {});
        const after = await append(second, "page", shown({ b: "B" }));
        const [old, young] = [parseCursor(before.cursor)!, parseCursor(after.cursor)!];
        assert.notEqual(young.epoch, old.epoch);
        assert.equal(young.seq, old.seq + 1);
        assert.deepEqual(plain(await since(second, "page", before.cursor)).renders, { b: ["B", 2] });
        assert.deepEqual(plain(await since(second, "page", start[0])).renders, { a: ["A", 1], b: ["B", 2] });
      });

      outlived("a cursor beyond the end that an epoch turned out to have is reset", async (log, again) => {
        const { epoch, seq } = parseCursor((await append(log, "page", shown({ a: "A" }))).cursor)!;
        const second = await again();
        const lost = `${epoch}.${seq + 1}`;
        assert.ok("reset" in (await second.since("page", lost)));
        const { cursor } = await append(second, "page", shown({ b: "B" }));
        assert.deepEqual(await second.since("page", lost), { reset: cursor });
      });

      outlived("remembers 64 epochs", async (log, again) => {
        const cursors = [(await append(log, "page", shown({ first: "1" }))).cursor];
        let current = log;
        for (let n = 0; n < 64; n++) {
          current = await again();
          cursors.push((await append(current, "page", shown({ [`post ${n}`]: "x" }))).cursor);
        }
        assert.ok("reset" in (await current.since("page", cursors[0]!)), "the 65th before is forgotten");
        const { renders } = await since(current, "page", cursors[1]!);
        assert.equal(renders.size, 63);
      });

      outlived("remembers its idempotency keys", async (log, again) => {
        const key = { idempotencyKey: "key 1" };
        const { cursor } = await log.append("page", shown({ a: "A" }), key);
        const second = await again();
        assert.deepEqual(await second.append("page", shown({ a: "A" }), key), { cursor });
      });
    }
  });
}

// --- words of the tests ----------------------------------------------------------------------------------

const post = (id: string, content: string) => ({ id, show: true, content });

function shown(contents: Readonly<Record<string, string>>): ReturnType<typeof draftUpdate> {
  return draftUpdate(Object.entries(contents).map(([id, content]) => post(id, content)) as RendersInput);
}

/** Appends what is known to change something. */
async function append(log: Log, channel: string, update: ReturnType<typeof draftUpdate>): Promise<Entry> {
  const announcement: Announcement = await log.append(channel, update);
  assert.ok("renders" in announcement, "the update changed something");
  return announcement;
}

async function since(log: Log, channel: string, cursor: string | null): Promise<Entry> {
  const answer = await log.since(channel, cursor);
  assert.ok("entry" in answer, `${cursor} holds`);
  return answer.entry;
}

function plain({ renders, removals, cursor }: Entry) {
  const contents = [...renders].map(([id, { content, at }]) => [id, [content, at]] as const);
  return { renders: Object.fromEntries(contents), removals: [...removals], cursor };
}
