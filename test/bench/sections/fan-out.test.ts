import { rmSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { PEERS } from "../../../bench/peers.ts";
import { folder, lacking } from "../../../bench/processes.ts";
import { measure, run, stop } from "../../../bench/sections/fan-out.ts";

// Vitest ends its workers without their exit being told.
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(lacking !== undefined)("a peer, measured for a moment, which needs Linux and gcc", () => {
  it.for(["tidings", "ws", "floor"])("%s", async (name) => {
    const one = await run(PEERS.find(({ id }) => id === name)!, 50);
    try {
      const measured = await measure(one, 4, 0.5);
      expect(measured.perSecond).toBeGreaterThan(100);
      expect(measured.cpuPerMillion).toBeGreaterThan(0);
      expect(measured.joined).toBeGreaterThanOrEqual(0.9);
    } finally {
      await stop(one);
    }
  });
});
