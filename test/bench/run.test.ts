import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const BENCH = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));

it.for([
  ["--turns=x", "--turns=x is no number of turns."],
  ["--only=start,toString", '--only: there is no "toString", but fan-out-1000,'],
  ["--peers=ws,tiding", '--peers: there is no "tiding", but ws, tidings,'],
  ["--peer=ws", "Unknown option '--peer'"],
] as const)("the bench refuses %s in a line, and measures nothing", ([option, why]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BENCH, option], { encoding: "utf8" });
  expect(stderr).toContain(why);
  expect(stderr.trim().split("\n")).toHaveLength(1);
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
