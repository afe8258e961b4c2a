import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { eventually } from "../../src/testing/runner.ts";
import { describeWith } from "../support/describe-with.ts";
import { emptyFolder } from "../support/folder.ts";

const file = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

interface Harness {
  readonly name: string;
  /** Where it is, if not in a folder of that name. */
  readonly path?: string;
  readonly args: readonly string[];
  readonly signal: NodeJS.Signals;
  readonly code: number;
  /** Of the command lines of what it starts; it is signalled when all are there. */
  readonly starts: readonly string[];
}

const SERVE = "cli.js serve";
const ON_SERVICES: readonly Harness[] = [
  {
    name: "processes",
    args: ["--buses=redis", "--readers=5", "--tabs=1", "--seed=1"],
    signal: "SIGINT",
    code: 130,
    starts: ["bin/postgres", "redis-server", "--type=renderer", SERVE, SERVE, SERVE],
  },
  {
    name: "deploy",
    args: ["--readers=5", "--reporters=1"],
    signal: "SIGTERM",
    code: 143,
    starts: ["bin/postgres", "redis-server", "haproxy", SERVE, SERVE, SERVE],
  },
];
const ALONE: readonly Harness[] = [
  {
    name: "storm",
    args: ["--readers=20", "--processes=1"],
    signal: "SIGINT",
    code: 130,
    starts: [SERVE, "crowd-process"],
  },
  {
    name: "hostile",
    args: ["--scale=0.05", "--only=text that is not UTF-8"],
    signal: "SIGTERM",
    code: 143,
    starts: [SERVE, "good-readers"],
  },
];
const BENCH: Harness = {
  name: "the bench",
  path: "bench/run.ts",
  args: ["--only=fan-out-1000", "--peers=ws,tidings", "--turns=20"],
  signal: "SIGINT",
  code: 130,
  starts: ["ws-loop", "servers/tidings", "/load "],
};

async function leavesNothing({ name, path, args, signal, code, starts }: Harness): Promise<void> {
  const folder = emptyFolder();
  onTestFinished(() => folder.dispose());
  // PostgreSQL's user goes through it.
  chmodSync(folder.path, 0o755);
  const env = { ...process.env, TMPDIR: folder.path };
  const harness = spawn(process.execPath, [file(path ?? `faults/${name}/run.ts`), ...args], {
    env,
    stdio: "pipe",
  });
  onTestFinished(() => void harness.kill("SIGKILL"));
  const said = heard(harness);
  await eventually(() => {
    if (harness.exitCode !== null) throw new Error(`it ended with ${harness.exitCode}: ${said()}`);
    const commands = descendants(harness.pid!).map(({ command }) => command);
    for (const start of starts) {
      const index = commands.findIndex((command) => command.includes(start));
      expect(index, `${start} in\n${commands.join("\n")}`).toBeGreaterThanOrEqual(0);
      commands.splice(index, 1);
    }
  }, 60_000);
  const started = descendants(harness.pid!);
  const exited = once(harness, "exit");
  harness.kill(signal);
  expect(await exited, said()).toEqual([code, null]);
  // Those that were killed may not be gone yet.
  await eventually(() => {
    const left = started.filter(({ pid, since }) =>
      processes().some((one) => one.pid === pid && one.since === since),
    );
    expect(left).toEqual([]);
  }, 10_000);
  expect(readdirSync(folder.path)).toEqual([]);
  expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(folder.path);
}

describe.skipIf(!existsSync("/proc/self/mounts"))("because /proc tells what is left, on Linux", () => {
  for (const one of ALONE) {
    it(`${one.name} leaves no process and no folder at ${one.signal}`, () => leavesNothing(one), 90_000);
  }
  const hasGcc = spawnSync("gcc", ["--version"]).error === undefined;
  it.skipIf(!hasGcc)(
    "the bench, which needs gcc, leaves no process and no folder at SIGINT",
    () => leavesNothing(BENCH),
    90_000,
  );
  describeWith("postgres", () => {
    describeWith("redis", () => {
      describeWith("haproxy", () => {
        for (const one of ON_SERVICES) {
          it(
            `${one.name} leaves no process, mount or folder at ${one.signal}`,
            () => leavesNothing(one),
            90_000,
          );
        }
      });
    });
  });
});

/** A harness that has one thing to undo, which takes so long, and one that fails before. */
async function small(undoMs: number): Promise<{ child: ChildProcess; said: () => string }> {
  const code = `
    import { writeSync } from "node:fs";
    import { atExit } from ${JSON.stringify(file("test/support/at-exit.ts"))};
    import { endOnSignals } from ${JSON.stringify(file("faults/ending.ts"))};
    endOnSignals();
    atExit(() => writeSync(1, "all "));
    atExit(() => {
      writeSync(1, "undoing ");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${undoMs});
    });
    atExit(() => {
      throw new Error("cannot be undone");
    });
    setInterval(() => {}, 1_000);
    writeSync(1, "started ");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said = heard(child);
  await eventually(() => expect(said()).toContain("started"));
  return { child, said };
}

it("a second signal ends a harness at once", async () => {
  const { child, said } = await small(60_000);
  const closed = once(child, "close");
  child.kill("SIGTERM");
  await eventually(() => expect(said()).toContain("undoing"));
  child.kill("SIGINT");
  expect(await closed).toEqual([null, "SIGINT"]);
  expect(said()).not.toContain("all ");
});

it("one signal that comes twice, as npm passes on a terminal's, is one; and what cannot be undone keeps nothing else", async () => {
  const { child, said } = await small(0);
  const closed = once(child, "close");
  child.kill("SIGINT");
  child.kill("SIGINT");
  expect(await closed).toEqual([130, null]);
  expect(said()).toMatch(/cannot be undone[\s\S]*undoing all /);
});

function heard(child: ChildProcess): () => string {
  let said = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  }
  return () => said;
}

// --- what /proc tells --------------------------------------------------------------------------------------

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** A number may be given again. */
  readonly since: string;
  readonly command: string;
}

/** All that run; those that have ended and whose parents have not asked yet do not. */
function processes(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        // After the name in brackets, which may hold anything: field 3 and on.
        const fields = stat.replace(/^.*\) /s, "").split(" ");
        if (fields[0] === "Z") return [];
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(name), parent: Number(fields[1]), since: fields[19]!, command }];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}

function descendants(pid: number, all: readonly Process[] = processes()): Process[] {
  return all.filter(({ parent }) => parent === pid).flatMap((one) => [one, ...descendants(one.pid, all)]);
}
