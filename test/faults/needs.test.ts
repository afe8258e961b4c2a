import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { lackOf } from "../../faults/needs.ts";
import { emptyFolder } from "../support/folder.ts";

const WAY_OUT = "Run node scripts/install-test-tools.ts as root, or apt-get install";

it("says in one line what is missing, and what brings it", () => {
  const has = (...there: readonly string[]) =>
    lackOf(["postgres", "redis", "redis", "chromium"], (need) => there.includes(need));
  expect(has("postgres", "redis", "chromium")).toBeUndefined();
  expect(has("postgres", "chromium")).toBe(`Not installed: redis. ${WAY_OUT} redis-server`);
  expect(has("postgres")).toBe(
    `Not installed: redis, chromium. ${WAY_OUT} redis-server chromium, or name a Chrome in TIDINGS_TEST_CHROMIUM`,
  );
});

it.each(["processes", "deploy"])(
  "npm run faults (%s) without a Redis ends with 2 and that line",
  (harness) => {
    const nowhere = emptyFolder();
    onTestFinished(() => nowhere.dispose());
    const script = fileURLToPath(new URL(`../../faults/${harness}/run.ts`, import.meta.url));
    // PostgreSQL and Chromium are found elsewhere, where there are any.
    const { status, stderr } = spawnSync(process.execPath, [script], {
      env: { PATH: nowhere.path },
      encoding: "utf8",
    });
    expect(stderr).toMatch(
      /^Not installed: [^\n]*\bredis\b[^\n]*install-test-tools\.ts[^\n]*redis-server[^\n]*\n$/,
    );
    expect(status).toBe(2);
  },
);
