import { describe, expect, it } from "vitest";
import { memoryLog } from "../../src/logs/memory.ts";
import { type PageLog, routedLog } from "../../src/logs/routed.ts";
import { draftUpdate } from "../../src/protocol.ts";
import { logSuite } from "../../src/testing/log-suite.ts";

/** A log for channels whose names begin with "page". */
function pageLog(): PageLog {
  return {
    ...memoryLog(),
    hasPages: async (channels) => channels.map((channel) => channel.startsWith("page")),
  };
}

logSuite({ describe, it }, { make: () => ({ value: routedLog({ pages: pageLog(), others: memoryLog() }) }) });

describe("routed log", () => {
  it("asks each log for its own channels, and keeps the order asked", async () => {
    const [pages, others] = [pageLog(), memoryLog()];
    const log = routedLog({ pages, others });
    const names = ["other 1", "page 1", "page 2", "other 2"];
    for (const name of names) {
      await log.append(name, draftUpdate([{ id: "a", show: true, content: name }]));
    }
    const heads = await log.heads(names);
    expect(heads).toEqual([
      ...(await others.heads(["other 1"])),
      ...(await pages.heads(["page 1", "page 2"])),
      ...(await others.heads(["other 2"])),
    ]);
    expect(heads.every((head) => head.endsWith(".1"))).toBe(true);
  });
});
