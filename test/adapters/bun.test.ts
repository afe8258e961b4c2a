import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { bunWebSocket } from "../../src/adapters/bun.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { createHub } from "../../src/hub/hub.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { adapterSuite } from "../../src/testing/adapter-suite.ts";
import type { RunnerThatSkips } from "../../src/testing/site.ts";
import { LEFT_OUT_ON_BUN } from "../support/tell.ts";
import { bunTests, start } from "./bun-suite.ts";

// The tests run on Bun, servers and readers both; here each one's outcome there is told under its name.

const bun = fileURLToPath(import.meta.resolve("bun/bin/bun.exe"));
const suite = fileURLToPath(new URL("bun-suite.ts", import.meta.url));
const child = spawn(bun, [suite], { stdio: ["ignore", "pipe", "inherit"] });
const ended = once(child, "close");
afterAll(() => {
  child.kill();
});

const outcomes = new Map<string, PromiseWithResolvers<string | undefined>>();
createInterface(child.stdout).on("line", (line) => {
  const { name, error } = JSON.parse(line) as { name: string; error?: string };
  outcomeOf(name).resolve(error);
});

function outcomeOf(name: string): PromiseWithResolvers<string | undefined> {
  const outcome = outcomes.get(name) ?? Promise.withResolvers();
  outcomes.set(name, outcome);
  return outcome;
}

function outcomeOnBun(name: string): Promise<string | undefined> {
  return Promise.race([outcomeOf(name).promise, ended.then(() => `Bun ended without telling of "${name}"`)]);
}

const onBun: RunnerThatSkips = {
  describe: (name, body) => describe(`${name}, on Bun`, body),
  it: Object.assign(
    (name: string) => it(name, async () => expect(await outcomeOnBun(name)).toBeUndefined()),
    // The name of a test that is left out has its reason, because the suite puts it there.
    { skip: (name: string) => it(name, ({ skip }) => skip()) },
  ),
};

adapterSuite(onBun, { start, skip: LEFT_OUT_ON_BUN });
bunTests(onBun);

describe("bun adapter", () => {
  it("has Bun ping readers, and end those that are silent for 60 s", () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    expect(bunWebSocket(hub).websocket).toMatchObject({ idleTimeout: 60 });
  });
});
