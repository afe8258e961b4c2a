import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const BENCH = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));

it.for([
  ["--turns=x", '--turns must be a whole number of at least 1, not "x"'],
  ["--only=start,toString", '--only: "toString" is none of fan-out-1000,'],
  ["--peers=ws,tiding", '--peers: "tiding" is none of ws, ws-text, tidings,'],
  ["--peer=ws", "Unknown option '--peer'"],
  ["--json=/nowhere/all.json", "--json: /nowhere/all.json cannot be written"],
] as const)("the bench refuses %s, and measures nothing", ([option, why]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BENCH, option], { encoding: "utf8" });
  expect(stderr).toContain(why);
  expect([status, stdout]).toEqual([2, ""]);
});

const canMeasure = existsSync("/proc/self/stat") && spawnSync("gcc", ["--version"]).error === undefined;

it.skipIf(!canMeasure)(
  "the bench, which needs Linux and gcc, takes a table without rows for a failure",
  () => {
    const args = [BENCH, "--only=compression", "--peers=floor", "--turns=1"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(stderr).toContain("compression: Error: none of the peers was measured");
    expect([status, stdout]).toEqual([1, ""]);
  },
);
