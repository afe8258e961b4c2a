/** What processes use of the machine, as Linux tells it. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** A process, and all that it has started. */
export function treeOf(pid: number): number[] {
  let children: number[] = [];
  try {
    children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
        .trim()
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    // It has ended.
  }
  return [pid, ...children.flatMap(treeOf)];
}

const TICKS_PER_SECOND = existsSync("/usr/bin/getconf")
  ? Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))
  : 100;

/**
 * What a process and all that it has started have used so far. `stat` tells it in ticks of 10 ms, which are coarse beside a
 * second's work; `schedstat` tells nanoseconds, but of threads that run still. So the greater of both: exact until a
 * thread ends, and from then on no worse than the ticks.
 */
export function cpuSeconds(root: number): number {
  return treeOf(root).reduce((sum, pid) => sum + Math.max(ofThreads(pid), inTicks(pid)), 0);
}

/** 0 where the kernel does not tell. */
function ofThreads(pid: number): number {
  let nanoseconds = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += ofThread(`/proc/${pid}/task/${task}/schedstat`);
    }
  } catch {
    // It has ended.
  }
  return nanoseconds / 1e9;
}

function ofThread(file: string): number {
  try {
    return Number(readFileSync(file, "utf8").split(" ", 1)[0]);
  } catch {
    // It has ended.
    return 0;
  }
}

function inTicks(pid: number): number {
  try {
    // "pid (command) state ppid …": the command may hold anything, so from its end.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    // It has ended.
    return 0;
  }
}

export function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** What the host took from this machine since it started, in seconds of all cores; on real hardware 0. */
export function stolenSeconds(): number {
  const [, ...fields] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.split(/\s+/);
  return Number(fields[7] ?? 0) / TICKS_PER_SECOND;
}
