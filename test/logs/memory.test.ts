import { describe, expect, it } from "vitest";
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
});
