import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../../src/app/cli.ts", import.meta.url));

/** `tidings serve` in a process of its own, in an empty folder. */
export interface Served {
  readonly url: string;
  /** Its current folder: commands run here find its token. */
  readonly cwd: string;
  readonly child: ChildProcess;
  /** What it has said so far. */
  output(): string;
  /** Ends it with SIGTERM, and removes its folder. Answers with its exit code. */
  stop(): Promise<number | null>;
}

/** Starts it on a free port, from the sources or from another copy, with a limit of open files or the system's, and waits until it listens. */
export async function serve(
  env: Readonly<Record<string, string>> = {},
  cli: string = SOURCES,
  openFiles?: number,
): Promise<Served> {
  const cwd = await mkdtemp(join(tmpdir(), "tidings-serve-"));
  const command = [process.execPath, cli, "serve", "--host", "127.0.0.1", "--port", "0"];
  const limited = openFiles === undefined ? "" : `ulimit -n ${openFiles} && `;
  const child = spawn("sh", ["-c", `${limited}exec "$@"`, "sh", ...command], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (text: string) => {
      output += text;
      const [found] = /http:\/\/127\.0\.0\.1:\d+(?=\/live\/)/.exec(output) ?? [];
      if (found) resolve(found);
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    closed.then(([code]) => reject(new Error(`tidings serve ended with ${code}: ${output}`)));
  });
  return {
    url,
    cwd,
    child,
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await closed;
      await rm(cwd, { recursive: true, force: true });
      return code;
    },
  };
}
