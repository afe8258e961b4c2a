/** Servers and load clients, each in a process of its own: the server on the first core, the client on the second. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { atExit } from "../test/support/at-exit.ts";
import { freePort } from "../test/support/services.ts";
import { seeded } from "./stats.ts";
import { cpuSeconds, residentBytes, treeOf } from "./usage.ts";

export const folder: string = mkdtempSync(join(tmpdir(), "tidings-bench-"));
atExit(() => rmSync(folder, { recursive: true, force: true }));

/** Whether this machine can measure at all: the clients use Linux's epoll, and are compiled here. */
export const lacking: string | undefined = !existsSync("/proc/self/stat")
  ? "Linux"
  : !found("gcc")
    ? "gcc"
    : !found("taskset") || availableParallelism() < 2
      ? "two cores, one for the server and one for the load client, and taskset"
      : undefined;

/** Where a program is, also what only root has in its path. */
export function found(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin"];
  return folders.map((at) => join(at, program)).find((path) => existsSync(path));
}

const compiled = new Map<string, string>();

/** The program of `bench/native/<name>.c`, compiled once. */
export function compile(name: string): string {
  const known = compiled.get(name);
  if (known) return known;
  const program = join(folder, name);
  const source = fileURLToPath(new URL(`native/${name}.c`, import.meta.url));
  execFileSync("gcc", ["-O2", "-o", program, source], { stdio: ["ignore", "ignore", "inherit"] });
  compiled.set(name, program);
  return program;
}

/** With its core. */
export function pinned(core: number, command: readonly string[]): [string, string[]] {
  return ["taskset", ["-c", String(core), ...command]];
}

export interface Started {
  readonly port: number;
  readonly pid: number;
  /** What its processes, all threads, have used since they started, in seconds. */
  cpu(): number;
  /** What its processes hold in memory, in bytes. */
  rss(): number;
  stop(): Promise<void>;
}

/** How a server is started: it listens on `port` of loopback. */
export type Command = (port: number) => {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/** What is slower than this to listen, does not. */
const START_MS = 60_000;

export async function startServer(command: Command): Promise<Started> {
  const port = await freePort();
  const { command: words, env } = command(port);
  const [program, args] = pinned(0, words);
  const child = spawn(program, args, {
    env: { ...process.env, PORT: String(port), ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-2_000)));
  let failed: string | undefined;
  child.once("error", ({ message }) => (failed = `cannot be started: ${message}`));
  child.once("exit", (code, signal) => (failed = `ended with ${code ?? signal}`));
  const end = endWith(child);
  const late = performance.now() + START_MS;
  while (!(await listens(port))) {
    if (performance.now() > late) failed ??= "does not listen";
    if (failed) {
      await end();
      throw new Error(`${words.join(" ")} ${failed}: ${said}`);
    }
    await wait(10);
  }
  return {
    port,
    pid: child.pid!,
    cpu: () => cpuSeconds(child.pid!),
    rss: () => treeOf(child.pid!).reduce((sum, pid) => sum + residentBytes(pid), 0),
    stop: end,
  };
}

/** How to end a process and all that it has started: also when this one ends, however that comes but by SIGKILL. */
function endWith(child: ChildProcess): () => Promise<void> {
  const exited = new Promise<void>((resolve) => {
    for (const event of ["exit", "error"]) child.once(event, () => resolve());
  });
  const kill = atExit(() => {
    const isRunning = child.exitCode === null && child.signalCode === null;
    // The first before its own: nginx would start a new worker for one that is gone.
    for (const pid of isRunning && child.pid ? treeOf(child.pid) : []) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
    }
  });
  return async () => {
    kill();
    await exited;
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

// --- the load client ---------------------------------------------------------------------------------------

/** What the load client has seen go wrong since it began. What is missing is an error of its own. */
interface Losses {
  /** Updates that a reader got twice or in another order, that nobody had published, or whose text is another. */
  readonly bad: number;
  /** Readers that the server let go. */
  readonly gone: number;
}

export interface Opened {
  readonly sec: number;
  readonly perSecond: number;
  readonly clientCpu: number;
}

export interface Burst {
  readonly sec: number;
  readonly updates: number;
  readonly deliveries: number;
  readonly reads: number;
  readonly bytes: number;
  readonly clientCpu: number;
}

export interface Paced {
  /** Of each update, milliseconds from the time it was due until half of the readers had it, and until all had. */
  readonly half: readonly number[];
  readonly last: readonly number[];
}

/**
 * What readers get. A server that sends a reader something wrong, or lets one go, is not measured, for it did other work:
 * whatever is asked of the load then rejects.
 */
export interface Load {
  open(count: number, path: string): Promise<Opened>;
  /** Readers that do not read. */
  openDeaf(count: number, path: string): Promise<unknown>;
  /** They read after all, until nothing has come for so long: how much it was, and how many the server has let go. */
  wakeDeaf(seconds: number): Promise<{ readonly bytes: number; readonly letGo: number }>;
  burst(outstanding: number, seconds: number): Promise<Burst>;
  pace(perSecond: number, count: number): Promise<Paced>;
  idle(seconds: number): Promise<unknown>;
  end(): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  /** Takes an update as `POST`. */
  readonly publish: string;
  /** Updates, a line each, taken in turn; see {@link post}. */
  readonly body?: string | undefined;
  /** Whole lines of the head of each `POST`. */
  readonly header?: string;
  readonly deflate?: boolean;
  readonly socketio?: boolean;
}

const OPENED_AT_ONCE = 64;
let bodies = 0;

export function startLoad(options: LoadOptions): Load {
  const { port, publish, body = post(), header = "", deflate = false, socketio = false } = options;
  const file = join(folder, `body-${++bodies}`);
  writeFileSync(file, body);
  const words = [compile("load"), String(port), publish, file];
  const [program, args] = pinned(1, [
    ...words,
    ...(deflate ? ["deflate"] : []),
    ...(socketio ? ["socketio"] : []),
  ]);
  const child = spawn(program, args, {
    env: { ...process.env, LOAD_HEADER: header },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const kill = endWith(child);
  const waiting: { resolve(answer: never): void; reject(error: Error): void }[] = [];
  createInterface(child.stdout!).on("line", (line) => {
    const answer = JSON.parse(line) as { error?: string };
    const first = waiting.shift();
    if (answer.error === undefined) first?.resolve(answer as never);
    else first?.reject(new Error(answer.error));
  });
  child.stdin!.on("error", () => {}); // its answer, or its end, says why
  child.once("exit", (code) => {
    for (const { reject } of waiting) reject(new Error(`the load client ended with ${code}`));
  });
  const ask = <T>(command: string): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin!.write(`${command}\n`);
    });
  const askWhole = async <T>(command: string): Promise<T> => {
    const answer = await ask<T & Losses>(command);
    const { bad, gone } = answer;
    if (bad > 0 || gone > 0) throw new Error(`${bad} frames wrong, ${gone} readers gone`);
    return answer;
  };
  return {
    open: (count, path) => ask(`open ${count} ${OPENED_AT_ONCE} ${path}`),
    openDeaf: (count, path) => ask(`deaf ${count} ${path}`),
    wakeDeaf: (seconds) => ask(`wake ${seconds}`),
    burst: (outstanding, seconds) => askWhole(`burst ${outstanding} ${seconds}`),
    pace: (perSecond, count) => askWhole(`pace ${perSecond} ${count}`),
    idle: (seconds) => askWhole(`idle ${seconds}`),
    end: kill,
  };
}

/**
 * Updates of a post of about a kilobyte, as HTTP bodies, a line each: a new post each time, or always the same one. The
 * load client puts each update's number where the marks are. No two have the same text, for compression would know.
 */
export function post(id = "post-SEQ0000000000"): string {
  const random = seeded(1);
  return Array.from({ length: 64 }, () => {
    let text = "";
    while (text.length < 820) text += `${WORDS[Math.floor(random() * WORDS.length)]} `;
    const content = `<article class="live-post" data-n="SEQ0000000000"><p>${text.trimEnd()}.</p></article>`;
    return JSON.stringify({ renders: { [id]: { show: true, content } }, removals: [] });
  }).join("\n");
}

const WORDS =
  "the a of to in and on that with for as at by from council minutes meeting readers figures goal referee minute half crowd minister said asked answered police fire road closed open bridge train late early morning evening vote count seats party leads behind ahead storm rain wind snow coast north south west east city village school hospital doctor judge court ruled appeal witness market shares fell rose percent bank rate union strike talks ended began hours people hundreds thousands streets square park river water power cut lines crews work through night".split(
    " ",
  );
