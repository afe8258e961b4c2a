import { expect, it, onTestFinished } from "vitest";
import type { Bus, BusStatus } from "../../src/buses/bus.ts";
import { eventually } from "../../src/testing/runner.ts";
import type { Service } from "./services.ts";

/** What the tests give a bus: told of each error. */
type Make = (onError: (error: unknown, context: { stage: string }) => void) => Promise<Bus>;

/**
 * What becomes of a bus when its server is killed, started again, or stops answering. `noticedWithinMs` is how long
 * a silent server may go unnoticed, `carries` the bytes of HTML that the bus takes whole.
 */
export function outageTests(
  server: () => Service,
  make: Make,
  noticedWithinMs: number,
  carries = 100_000,
): void {
  /** A bus, what it told, and what it heard on ten channels. */
  async function observe() {
    const errors: unknown[] = [];
    const statuses: BusStatus[] = [];
    const heard: string[] = [];
    const bus = await make((error) => errors.push(error));
    onTestFinished(() => bus.close());
    bus.onStatus!((status) => statuses.push(status));
    for (let n = 0; n < 10; n++) await bus.subscribe(`channel ${n}`, ({ cursor }) => heard.push(cursor));
    const hears = async (cursor: string) => {
      for (let n = 0; n < 10; n++) await bus.publish(`channel ${n}`, { cursor });
      await eventually(() => expect(heard.filter((one) => one === cursor)).toHaveLength(10));
    };
    return { bus, errors, statuses, heard, hears };
  }

  it("is down when its server is killed, and up with all its subscriptions when that is back", async () => {
    const { bus, errors, statuses, hears } = await observe();
    await hears("e.1");
    await server().kill();
    await eventually(() => expect(statuses).toEqual(["down"]));
    expect(errors.map(String)).toEqual([
      expect.stringMatching(/(NATS|PostgreSQL|RabbitMQ|Redis) cannot be reached/),
    ]);
    for (let n = 0; n < 1_000; n++) await bus.publish("channel 1", { cursor: "e.2" });
    const late = bus.subscribe("late", ({ cursor }) => heardLate.push(cursor));
    const heardLate: string[] = [];
    await server().start();
    await eventually(() => expect(statuses).toEqual(["down", "up"]), 20_000);
    await hears("e.3");
    await late;
    await bus.publish("late", { cursor: "e.4" });
    await eventually(() => expect(heardLate).toEqual(["e.4"]));
    expect(errors).toHaveLength(1);
  });

  it("closes, and begins, while its server is away", async () => {
    await server().kill();
    const errors: unknown[] = [];
    const bus = await make((error) => errors.push(error));
    const waiting = expect(bus.subscribe("finals", () => {})).rejects.toMatchObject({ code: "closed" });
    await eventually(() => expect(errors).toHaveLength(1));
    await bus.close();
    await waiting;
    await bus.publish("finals", { cursor: "e.1" });
    await expect(bus.subscribe("finals", () => {})).rejects.toMatchObject({ code: "closed" });

    const begun = observe();
    await server().start();
    const { hears } = await begun;
    await hears("e.1");
  });

  it("notices a server that no longer answers, keeps nothing for it, and comes back", async () => {
    const { bus, statuses, errors, hears } = await observe();
    await hears("e.1");
    server().pause();
    try {
      const before = process.memoryUsage().arrayBuffers;
      const content = "x".repeat(carries);
      const renders = new Map([["1", { show: true, content, at: 1 }]]);
      for (let n = 0; n < 200_000_000 / carries; n++) {
        await bus.publish("channel 1", { renders, removals: [], cursor: "e.2" });
        if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      // 200 MB were published.
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000);
      await eventually(() => expect(statuses).toEqual(["down"]), noticedWithinMs);
    } finally {
      server().resume();
    }
    await eventually(() => expect(statuses).toEqual(["down", "up"]), 20_000);
    await hears("e.3");
    expect(errors.map(String)).toContainEqual(expect.stringContaining("announcements are dropped"));
  });

  it("closes while its server does not answer", async () => {
    const { bus } = await observe();
    server().pause();
    try {
      await bus.publish("channel 1", { cursor: "e.1" });
      const start = performance.now();
      await bus.close();
      expect(performance.now() - start).toBeLessThan(4_000);
    } finally {
      server().resume();
    }
  });
}
