import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { emptyFolder } from "../support/folder.ts";

function run(harness: string, ...flags: readonly string[]) {
  const script = fileURLToPath(new URL(`../../faults/${harness}/run.ts`, import.meta.url));
  return spawnSync(process.execPath, [script, ...flags], { encoding: "utf8" });
}

it("--help lists the flags, and a flag that is not known lists them too", () => {
  const { status, stdout } = run("storm", "--help");
  expect(status).toBe(0);
  expect(stdout).toContain("--posts-per-second …  (default: 10)");
  const wrong = run("storm", "--reader", "5");
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toContain("'--reader'");
  expect(wrong.stderr).toContain("--readers …  (default: 5000)");
});

it("where a report cannot be written is said before anything begins, with 2", () => {
  const { path, dispose } = emptyFolder();
  onTestFinished(dispose);
  writeFileSync(join(path, "no-report.json"), "no JSON");
  const gone = join(path, "gone");
  for (const [flag, value] of [
    ["--json", join(gone, "report.json")],
    ["--markdown", path],
    ["--evidence", gone],
    ["--merge", join(path, "no-report.json")],
  ] as const) {
    const { status, stdout, stderr } = run("processes", flag, value);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(new RegExp(`^${flag}: [^\n]*${value}[^\n]*\n$`));
  }
});
