import { describe, expect, it } from "vitest";
import type { Since } from "../../src/logs/log.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { draftUpdate } from "../../src/protocol.ts";
import { logSuite } from "../../src/testing/log-suite.ts";

logSuite({ describe, it }, { make: () => ({ value: memoryLog() }) });

describe("memory log", () => {
  it("purges old tombstones: cursors before them reset, later ones hold", async () => {
    const log = memoryLog();
    const [start] = await log.heads(["page"]);
    for (let n = 0; n <= 2_000; n++) await log.append("page", draftUpdate({}, [`gone ${n}`]));
    const [head] = await log.heads(["page"]);
    expect(await log.since("page", start!)).toEqual({ reset: head });
    const late = await log.since("page", head!.replace(/\d+$/, "1500"));
    expect("entry" in late && late.entry.removals.length).toBe(501);
  });

  it("answers from the beginning with cursors that hold, however much there is below the floor", async () => {
    const log = memoryLog();
    const large = "x".repeat(600_000);
    const ids = ["a", "b", "c", "d"];
    for (const id of ids) await log.append("page", draftUpdate([{ id, show: true, content: large }]));
    const gone = Array.from({ length: 2_001 }, (_, n) => `gone ${n}`);
    await log.append("page", draftUpdate({}, gone));
    const found = [];
    let cursor: string | null = null;
    for (let more = true; more; ) {
      const answer: Since = await log.since("page", cursor);
      if ("reset" in answer) throw new Error(`${cursor} does not hold`);
      found.push(...answer.entry.renders.keys());
      ({ more } = answer);
      ({ cursor } = answer.entry);
    }
    expect(found).toEqual(ids);
  });
});
