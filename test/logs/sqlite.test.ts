import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sqliteLog } from "../../src/logs/sqlite.ts";
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
  it("refuses a second process on its file, and says why", async () => {
    const { path, dispose } = folder();
    const log = sqliteLog({ path });
    expect(() => sqliteLog({ path })).toThrow(/another process has it open/);
    await log.close();
    await sqliteLog({ path }).close();
    await dispose();
  });
});
