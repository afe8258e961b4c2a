import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { cpuSeconds } from "../../bench/usage.ts";

/** Says when it has done with what it was asked for, and waits. */
async function busy(code: string): Promise<number> {
  const child = spawn(process.execPath, ["-e", `${code}; setInterval(() => {}, 1_000)`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout!, "data");
  return child.pid!;
}

const USED = 0.4;
const IN_A_THREAD = `
  const { Worker } = require("node:worker_threads");
  const used = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
  const code = \`const used = \${used}; while (used() < ${USED});\`;
  new Worker(code, { eval: true }).on("exit", () => console.log("done"))`;

describe.skipIf(!existsSync("/proc/self/schedstat"))("CPU time, which needs Linux to tell it", () => {
  it("is finer than a tick", async () => {
    const pid = await busy("console.log('done')");
    const seconds = cpuSeconds(pid);
    expect(seconds).toBeGreaterThan(0);
    expect(Math.abs(seconds * 100 - Math.round(seconds * 100))).toBeGreaterThan(0);
  });

  it("keeps, to a tick or two, what threads have used that have ended", async () => {
    expect(cpuSeconds(await busy(IN_A_THREAD))).toBeGreaterThan(USED - 0.03);
  });
});
