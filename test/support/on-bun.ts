import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { RunnerThatSkips } from "../../src/testing/site.ts";

/**
 * Runs `file` (which calls `tell` of support/tell.ts) on Bun, once, servers and readers both. Tests registered
 * with the runner have the outcomes of those of the same names there.
 */
export function onBun(file: URL): RunnerThatSkips {
  const bun = fileURLToPath(import.meta.resolve("bun/bin/bun.exe"));
  const child = spawn(bun, [fileURLToPath(file)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  afterAll(async () => {
    if (child.kill()) await ended;
  });

  const outcomes = new Map<string, PromiseWithResolvers<string | null>>();
  createInterface(child.stdout).on("line", (line) => {
    const { name, error } = JSON.parse(line) as { name: string; error: string | null };
    outcomes.get(name)?.resolve(error);
  });
  const told = (name: string) => {
    const outcome = Promise.withResolvers<string | null>();
    outcomes.set(name, outcome);
    it(name, async () => {
      const silence = ended.then(() => `Bun ended without telling of "${name}"`);
      expect(await Promise.race([outcome.promise, silence])).toBeNull();
    });
  };
  return {
    describe: (name, body) => describe(`${name}, on Bun`, body),
    it: Object.assign(told, {
      // The name of a test that is left out has its reason, because the suite puts it there.
      skip: (name: string) => it(name, ({ skip }) => skip()),
    }),
  };
}
