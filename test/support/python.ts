import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";

const found = new Map<string, string | undefined>();

/** A Python that has these modules: that of the system, which apt-get fills, or the one on the path. */
export function pythonWith(...modules: readonly string[]): string | undefined {
  const imports = `import ${modules.join(", ")}`;
  if (!found.has(imports)) {
    const program = ["/usr/bin/python3", "python3"].find(
      (each) => spawnSync(each, ["-c", imports], { stdio: "ignore" }).status === 0,
    );
    found.set(imports, program);
  }
  return found.get(imports);
}

/**
 * `describe` for tests that need a Python with modules: left out where there is none, for the end of the output to tell;
 * in CI a missing one fails.
 */
export function describeWithPython(modules: readonly string[], body: () => void): void {
  const what = `Python with ${modules.join(", ")}`;
  if (pythonWith(...modules) !== undefined) describe(what, body);
  else if (process.env.CI) it(`needs ${what}`, () => expect.fail(`there is no ${what}`));
  else describe.skip(`needs ${what}, because it is not installed`, body);
}

/** A Python program that answers each line of JSON with one. */
export interface PythonProgram {
  readonly child: ChildProcess;
  ask<T>(line: object): Promise<T>;
  close(): Promise<void>;
}

/**
 * Starts it, and waits for its first line, which must be `ready`; rejects with what it wrote on standard error if it ends
 * before.
 */
export async function startPython(
  modules: readonly string[],
  args: readonly string[],
  path: readonly string[] = [],
): Promise<PythonProgram> {
  const child = spawn(pythonWith(...modules)!, [...args], {
    env: { PATH: process.env.PATH, PYTHONPATH: path.join(":"), PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function next(): Promise<string> {
    const { value, done } = await lines.next();
    if (!done) return value;
    await ended;
    throw new Error(`Python ended: ${errors}`);
  }
  expect(await next()).toBe("ready");
  return {
    child,
    async ask<T>(line: object): Promise<T> {
      child.stdin.write(`${JSON.stringify(line)}\n`);
      return JSON.parse(await next()) as T;
    },
    async close() {
      child.kill("SIGKILL"); // whatever it waits for
      await ended;
    },
  };
}
