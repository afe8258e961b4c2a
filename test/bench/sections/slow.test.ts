import { rmSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { PEERS } from "../../../bench/peers.ts";
import { folder, lacking } from "../../../bench/processes.ts";
import { besideDeaf, postOf } from "../../../bench/sections/slow.ts";

// Vitest ends its workers without their exit being told.
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FLOW = { id: "", name: "", body: postOf(20_000), perSecond: 50, updates: 40, livelyPerSecond: 10 };

describe.skipIf(lacking !== undefined)("readers that stop reading, which needs Linux and gcc", () => {
  it.for(["tidings", "ws"])(
    "are held by %s, and read on when they can",
    { timeout: 60_000 },
    async (name) => {
      const peer = PEERS.find(({ id }) => id === name)!;
      // For Tidings it throws unless all of them lag, and later none.
      const [held, , late, letGo] = await besideDeaf(peer, FLOW, 10, 20, 1, 1);
      if (name === "ws") expect(held).toBeGreaterThan(10);
      else expect(held).toBeLessThan(10);
      expect(late).toBeGreaterThan(0.05);
      expect(letGo).toBe(0);
    },
  );
});
