import assert from "node:assert/strict";
import type { Bus } from "../buses/bus.ts";
import { type Announcement, draftUpdate, type Entry } from "../protocol.ts";
import { eventually, type Made, type Runner, withMade } from "./runner.ts";

export interface BusSuiteOptions {
  /** Makes a bus that nobody else is on. */
  readonly make: () => Promise<Made<Bus>> | Made<Bus>;
  /** Makes a second one that is joined to the first, as in another process; left out: it serves one process. */
  readonly join?: (bus: Bus) => Promise<Bus> | Bus;
}

/**
 * What a bus must do to be one.
 *
 * @example
 * import { describe, it } from "vitest";
 * busSuite({ describe, it }, { make: () => ({ value: memoryBus() }) });
 */
export function busSuite({ describe, it }: Runner, { make, join }: BusSuiteOptions): void {
  /** Runs a test within one process and, where the bus can, from one process to another. */
  const test = (name: string, body: (from: Bus, to: Bus) => Promise<void>) => {
    it(name, () => withMade(make, (bus) => body(bus, bus)));
    if (!join) return;
    it(`${name}, between processes`, () =>
      withMade(make, async (bus) => {
        const other = await join(bus);
        try {
          await body(bus, other);
        } finally {
          await other.close();
        }
      }));
  };

  describe("bus", () => {
    test("brings each announcement, in order, to the channel's listeners only", async (from, to) => {
      const [finals, other] = [await listen(to, "finals"), await listen(to, "other")];
      for (let n = 1; n <= 100; n++) await from.publish("finals", entry(n));
      await from.publish("other", entry(1));
      await eventually(() => assert.equal(finals.heard.length + other.heard.length, 101));
      assert.deepEqual(
        finals.cursors(),
        Array.from({ length: 100 }, (_, n) => `e.${n + 1}`),
      );
      assert.deepEqual(other.cursors(), ["e.1"]);
    });

    test("keeps each publisher's order when 20 publish at once", async (from, to) => {
      const names = Array.from({ length: 20 }, (_, n) => `channel ${n % 4}`);
      const listeners = await Promise.all(names.slice(0, 4).map((name) => listen(to, name)));
      await Promise.all(
        names.map(async (name, publisher) => {
          for (let n = 1; n <= 25; n++) await from.publish(name, entry(publisher * 1_000 + n));
        }),
      );
      await eventually(() => {
        for (const { heard } of listeners) assert.equal(heard.length, 125);
      });
      for (const { cursors } of listeners) {
        const seqs = cursors().map((cursor) => Number(cursor.slice(2)));
        for (const publisher of new Set(seqs.map((seq) => Math.floor(seq / 1_000)))) {
          const own = seqs.filter((seq) => Math.floor(seq / 1_000) === publisher);
          assert.deepEqual(
            own,
            own.toSorted((a, b) => a - b),
          );
          assert.equal(own.length, 25);
        }
      }
    });

    test("brings the update whole, or its cursor alone", async (from, to) => {
      const listener = await listen(to, "finals");
      await from.publish("finals", entry(7));
      await from.publish("finals", { cursor: "e.8" });
      await eventually(() => assert.equal(listener.heard.length, 2));
      const [first, second] = listener.heard;
      if ("renders" in first!) {
        assert.deepEqual([...first.renders], [...entry(7).renders]);
        assert.deepEqual(first.removals, entry(7).removals);
      }
      assert.deepEqual(second, { cursor: "e.8" });
    });

    test("takes any channel id and updates of 1 MB", async (from, to) => {
      const names = ["é", "-100123", "__proto__", "a b*c>d", "日本", "💥", "x".repeat(255)];
      const listeners = await Promise.all(names.map((name) => listen(to, name)));
      for (const [i, name] of names.entries()) await from.publish(name, entry(i + 1, "y".repeat(1_000_000)));
      await eventually(() => {
        for (const [i, { cursors }] of listeners.entries()) assert.deepEqual(cursors(), [`e.${i + 1}`]);
      });
    });

    test("two listeners of a channel hear alike, one function twice too; one that throws harms none", async (from, to) => {
      const heard: string[] = [];
      const hear = ({ cursor }: Announcement) => {
        heard.push(cursor);
      };
      await to.subscribe("finals", () => {
        throw new Error("a listener that throws (on purpose)");
      });
      const ends = [await to.subscribe("finals", hear), await to.subscribe("finals", hear)];
      await from.publish("finals", entry(1));
      await eventually(() => assert.deepEqual(heard, ["e.1", "e.1"]));
      await ends[0]!();
      await ends[0]!();
      await from.publish("finals", entry(2));
      await eventually(() => assert.deepEqual(heard, ["e.1", "e.1", "e.2"]));
    });

    test("after unsubscribing nothing comes, and one may subscribe again", async (from, to) => {
      const first = await listen(to, "finals");
      await first.end();
      const second = await listen(to, "finals");
      await from.publish("finals", entry(1));
      await eventually(() => assert.deepEqual(second.cursors(), ["e.1"]));
      assert.deepEqual(first.heard, []);
    });

    test("a new subscription is not lost with an old one that is just ending", async (from, to) => {
      for (let n = 1; n <= 20; n++) {
        const old = await listen(to, "finals");
        const ending = old.end();
        const young = await listen(to, "finals");
        await ending;
        await from.publish("finals", entry(n));
        await eventually(() => assert.deepEqual(young.cursors(), [`e.${n}`]));
        await young.end();
      }
    });

    test("subscribes to and lets go of 10,000 channels", async (from, to) => {
      const names = Array.from({ length: 10_000 }, (_, n) => `channel ${n}`);
      const listeners = await Promise.all(names.map((name) => listen(to, name)));
      await from.publish("channel 9999", entry(1));
      await eventually(() => assert.deepEqual(listeners[9999]!.cursors(), ["e.1"]));
      await Promise.all(listeners.map(({ end }) => end()));
    });

    test("after close() nobody subscribes", async (from) => {
      await from.close();
      await from.close();
      await assert.rejects(async () => from.subscribe("finals", () => {}), { code: "closed" });
    });

    test("close() while publishing neither throws nor hangs", async (from) => {
      const published = Array.from({ length: 50 }, (_, n) => from.publish("finals", entry(n + 1)));
      await from.close();
      await Promise.all(published);
      await from.publish("finals", entry(51));
    });
  });
}

// --- words of the tests ----------------------------------------------------------------------------------

function entry(seq: number, content = "<p>Goal!</p>"): Entry {
  const { removals } = draftUpdate({}, [`gone ${seq}`]);
  return {
    renders: new Map([["__proto__", { show: true, content, at: seq }]]),
    removals,
    cursor: `e.${seq}`,
  };
}

async function listen(bus: Bus, channel: string) {
  const heard: Announcement[] = [];
  const end = await bus.subscribe(channel, (announcement) => heard.push(announcement));
  return { heard, end, cursors: () => heard.map(({ cursor }) => cursor) };
}
