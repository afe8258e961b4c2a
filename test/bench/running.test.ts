import { rmSync } from "node:fs";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { PEERS, type Peer } from "../../bench/peers.ts";
import { folder, lacking } from "../../bench/processes.ts";
import { lineUp, measure, run, stop } from "../../bench/running.ts";

// Vitest ends its workers without their exit being told.
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const peer = (name: string): Peer => PEERS.find(({ id }) => id === name)!;

describe.skipIf(lacking !== undefined)("peers, measured for a moment, which needs Linux and gcc", () => {
  it.for(["tidings", "ws", "fastify", "floor"])("%s", async (name) => {
    const one = await run(peer(name), 50);
    try {
      const measured = await measure(one, 4, 0.5);
      expect(measured.perSecond).toBeGreaterThan(100);
      expect(measured.cpuPerMillion).toBeGreaterThan(0);
      expect(measured.joined).toBeGreaterThanOrEqual(0.9);
    } finally {
      await stop(one);
    }
  });

  it("leave out those that fail, alone", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const line = lineUp();
    try {
      await line.enter(peer("floor"), 10, 1);
      const fails = () => ({ command: [process.execPath, "-e", "process.exit(3)"] });
      await line.enter({ ...peer("ws"), id: "fails", name: "One that fails", start: fails }, 10, 1);
      await line.enter({ ...peer("ws"), name: "One that breaks" }, 10, 1);
      expect(line.running.map(({ peer: { id } }) => id)).toEqual(["floor", "ws"]);
      const order: string[] = [];
      await line.each(2, async ({ peer: { id }, load, server }) => {
        order.push(id);
        if (id === "ws") await server.stop();
        await load.idle(0.1);
      });
      expect(order).toEqual(["ws", "floor"]);
      expect(line.running.map(({ peer: { id } }) => id)).toEqual(["floor"]);
      expect(line.leftOut).toEqual([
        expect.stringMatching(/^One that fails \(.*ended with 3/),
        "One that breaks (0 frames wrong, 10 readers gone)",
      ]);
    } finally {
      await line.stop();
    }
  });
});
