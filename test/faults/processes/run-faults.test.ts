import { setTimeout as wait } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import type { World } from "../../../faults/processes/faults.ts";
import { runFaults } from "../../../faults/processes/run-schedule.ts";

const fault = (name: string, after: number) => ({ name, after, lasts: 0, server: 0 });

it("a fault that fails breaks off its schedule, and nothing else", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  const broken = new Error("the store does not start any more");
  const told: string[] = [];
  const world = {
    readers: [],
    site: { servers: [{}], store: { kill: async () => {}, start: () => Promise.reject(broken) } },
  } as unknown as World;
  // The next begins when the first has failed long since: nobody waits for that meanwhile.
  const planned = [fault("store killed", 0), fault("readers move", 100)];
  await expect(runFaults(world, planned, (line) => told.push(line))).rejects.toBe(broken);
  await wait(0);
  expect(unhandled).toEqual([]);
  expect(told).toEqual([expect.stringMatching(/readers move/)]);
});
