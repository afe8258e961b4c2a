/**
 * One `tidings serve` in a process of its own, on SQLite if its environment names no other store, that is ended and started
 * again on the same port.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { atExit, killAtExit } from "../test/support/at-exit.ts";
import { freePort } from "../test/support/services.ts";

const CLI = fileURLToPath(new URL("../dist/app/cli.js", import.meta.url));
const TOKEN = "a-token-for-the-faults";

export interface OneServer {
  /** `host:port`. */
  readonly host: string;
  readonly port: number;
  readonly authorization: string;
  /** Of the process that runs now, or ran last. */
  readonly usage: () => Usage;
  /** Resolves when it listens. */
  start(): Promise<void>;
  /** @returns the exit code; `null` after SIGKILL. */
  stop(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number | null>;
  /** SIGSTOP: its connections stay, and nothing answers. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** A number of `/metrics`, by its name. */
  metric(name: string): Promise<number>;
  /** One request of the API. */
  api(method: string, path: string, body?: object): Promise<Response>;
  /** What it has said at level warn and above. */
  output(): string;
  end(): Promise<void>;
}

/** What a process has used since it was started. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Bytes now, and at most. */
  readonly memory: number;
  readonly peakMemory: number;
}

export async function startOneServer(env: Readonly<Record<string, string>> = {}): Promise<OneServer> {
  const folder = mkdtempSync(join(tmpdir(), "tidings-one-server-"));
  const remove = atExit(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const authorization = `Bearer ${TOKEN}`;
  let said = "";
  let child: ChildProcess;

  async function start(): Promise<void> {
    const started = spawn(
      process.execPath,
      [CLI, "serve", "--host", "127.0.0.1", "--port", String(port), "--data", folder],
      {
        cwd: folder,
        env: { PATH: process.env.PATH, TIDINGS_TOKEN: TOKEN, TIDINGS_LOG_LEVEL: "warn", ...env },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    child = started;
    killAtExit(started);
    const listening = new Promise<void>((resolve, reject) => {
      const hear = (text: string) => {
        said = (said + text).slice(-1_000_000);
        // The banner.
        if (text.includes("/live/")) resolve();
      };
      started.stdout.setEncoding("utf8").on("data", hear);
      started.stderr.setEncoding("utf8").on("data", hear);
      started.once("exit", (code) => reject(new Error(`tidings serve ended with ${code}: ${said}`)));
    });
    await listening;
  }

  async function stop(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, "exit") as Promise<[number | null]>;
    child.kill(signal);
    return (await exited)[0];
  }

  const api = (method: string, path: string, body?: object) =>
    fetch(`http://${host}${path}`, {
      method,
      headers: { authorization, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });

  await start();
  return {
    host,
    port,
    authorization,
    usage: () => usageOf(child.pid!),
    start,
    stop,
    signal: (signal) => void child.kill(signal),
    async metric(name) {
      const text = await (await api("GET", "/metrics")).text();
      const [, value] = new RegExp(`^${name} (.+)$`, "m").exec(text) ?? [];
      if (value === undefined) throw new Error(`there is no metric ${name}`);
      return Number(value);
    },
    api,
    output: () => said,
    async end() {
      await stop("SIGKILL");
      remove();
    },
  };
}

/** Where the system tells (Linux); else nothing but zeros. */
export function usageOf(pid: number): Usage {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)![1]);
    // After the name in brackets, which may hold anything: field 3 and on. 14 and 15 are ticks, of which a second has 100.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
      memory: kilobytes("VmRSS") * 1024,
      peakMemory: kilobytes("VmHWM") * 1024,
    };
  } catch {
    return { cpuSeconds: 0, memory: 0, peakMemory: 0 };
  }
}
