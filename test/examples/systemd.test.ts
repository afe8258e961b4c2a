import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyFolder } from "../support/folder.ts";

// examples/systemd/tidings.service, with only the places of the program changed.

const EXAMPLE = fileURLToPath(new URL("../../examples/systemd/tidings.service", import.meta.url));
const CLI = fileURLToPath(new URL("../../dist/app/cli.js", import.meta.url));
const analyze = (...args: string[]) => spawnSync("systemd-analyze", args, { encoding: "utf8" });
const isThere = analyze("--version").status === 0;

describe.skipIf(!isThere)("the service, needs systemd-analyze", () => {
  const folder = emptyFolder();
  const unit = join(folder.path, "tidings.service");
  const example = readFileSync(EXAMPLE, "utf8");

  beforeAll(() => {
    const command = /^ExecStart=\S+ \S+\/dist\/app\/cli\.js serve$/m;
    expect(example).toMatch(command);
    writeFileSync(unit, example.replace(command, `ExecStart=${process.execPath} ${CLI} serve`));
  });
  afterAll(() => folder.dispose());

  it("is understood by systemd, every line of it", () => {
    const { status, stdout, stderr } = analyze("verify", "--man=no", unit);
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" });
  });

  it("is hardened", () => {
    const { status, stdout } = analyze("security", "--offline=true", "--no-pager", "--threshold=20", unit);
    expect(status, stdout.trimEnd().split("\n").at(-1)).toBe(0);
  });

  it("gives it longer to end than it takes", () => {
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(example)![1])).toBeGreaterThan(10);
  });
});
