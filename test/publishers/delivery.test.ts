import { describe, expect, it, vi } from "vitest";
import { memoryBus } from "../../src/buses/memory.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import type { Announcement, Cursor, Entry } from "../../src/protocol.ts";
import { createDelivery, type DeliveryOptions } from "../../src/publishers/delivery.ts";
import { createPublisher } from "../../src/publishers/publisher.ts";

/** A delivery to a publisher that notes the cursors, and what is reported. */
function noting(publish: (cursor: Cursor) => unknown = () => {}, options: Partial<DeliveryOptions> = {}) {
  const calls: unknown[][] = [];
  const errors: [message: string, context: object][] = [];
  const closed = vi.fn();
  const delivery = createDelivery({
    publisher: {
      publish(...args) {
        calls.push(args);
        return publish(args[3].cursor);
      },
      close: closed,
    },
    onError: (error, context) => errors.push([(error as Error).message, context]),
    ...options,
  });
  const cursors = () => calls.map((call) => (call[3] as { cursor: Cursor }).cursor);
  return { delivery, calls, cursors, errors, closed };
}

function entry(cursor: Cursor, content = "x"): Entry {
  return { renders: new Map([["7", { show: true, content, at: 1 }]]), removals: [], cursor };
}

const made = (announcement: Announcement) => Promise.resolve(announcement);

/** What waits for its turn on the microtask queue has had it. */
const idle = () => new Promise((resolve) => setImmediate(resolve));

describe("delivery", () => {
  it("hands over each update as the log has it; a hidden post as its shell, any id as a key", async () => {
    const { delivery, calls } = noting();
    const [log, bus] = [memoryLog(), memoryBus()];
    const publisher = createPublisher({ log, bus, delivery });
    const renders = [
      { id: "__proto__", show: true, content: "Goal!" },
      { id: "secret", show: false, content: "not yet" },
    ];
    const { cursor } = await publisher.publish("finals", renders, ["6"]);
    await delivery.close();
    const shown = calls[0]![1] as object;
    expect(Object.entries(shown)).toEqual([
      ["__proto__", { show: true, content: "Goal!", at: 1 }],
      ["secret", { show: false, content: `<div class="live-post" data-post-id="secret"></div>`, at: 2 }],
    ]);
    expect(calls).toEqual([["finals", shown, ["6"], { cursor }]]);
  });

  it("says nothing of what changed nothing, was repeated, or failed", async () => {
    const { delivery, cursors, errors } = noting();
    const [log, bus] = [memoryLog(), memoryBus()];
    const publisher = createPublisher({ log, bus, delivery });
    const goal = { 7: { show: true, content: "Goal!" } };
    const { cursor } = await publisher.publish("finals", goal, [], { idempotencyKey: "one" });
    await publisher.publish("finals", goal, [], { idempotencyKey: "one" });
    await publisher.publish("finals", goal);
    const conflict = publisher.publish("finals", {}, ["7"], { idempotencyKey: "one" });
    await expect(conflict).rejects.toMatchObject({ code: "key_reused" });
    await delivery.close();
    expect([cursors(), errors]).toEqual([[cursor], []]);
  });

  it("keeps a page's order when answers come out of order, and waits for the one still on its way", async () => {
    const hold = Promise.withResolvers<void>();
    const { delivery, cursors } = noting(() => hold.promise);
    const [first, second, third] = [1, 2, 3].map(() => Promise.withResolvers<Announcement>());
    for (const { promise } of [first!, second!, third!]) delivery.follow("finals", promise);
    third!.resolve(entry("e.3"));
    second!.resolve(entry("e.2"));
    await idle();
    expect(cursors()).toEqual([]);
    first!.resolve(entry("e.1"));
    await idle();
    // Whoever begins now comes later, and is not waited for.
    delivery.follow("finals", new Promise(() => {}));
    hold.resolve();
    await expect.poll(cursors).toEqual(["e.1", "e.2", "e.3"]);
  });

  it("keeps the order of answers over a new epoch, whose numbers may be smaller", async () => {
    const { delivery, cursors } = noting();
    const hold = Promise.withResolvers<Announcement>();
    delivery.follow("finals", hold.promise);
    for (const cursor of ["a.8", "a.9", "b.1"]) delivery.follow("finals", made(entry(cursor)));
    await idle();
    hold.resolve(entry("b.2"));
    await delivery.close();
    expect(cursors()).toEqual(["a.8", "a.9", "b.1", "b.2"]);
  });

  it("waits for one publish before the next of a page, and not for another page", async () => {
    const ends = new Map<Cursor, () => void>();
    const { delivery, cursors } = noting((cursor) => new Promise<void>((end) => ends.set(cursor, end)));
    for (const [channel, cursor] of [
      ["finals", "e.1"],
      ["finals", "e.2"],
      ["derby", "d.1"],
    ] as const) {
      delivery.follow(channel, made(entry(cursor)));
      await idle();
    }
    expect(cursors()).toEqual(["e.1", "d.1"]);
    ends.get("e.1")!();
    await expect.poll(cursors).toEqual(["e.1", "d.1", "e.2"]);
  });

  it("reports what is thrown, at once or later, with the page, and goes on", async () => {
    const { delivery, cursors, errors } = noting((cursor) => {
      if (cursor === "e.1") throw new Error("at once");
      if (cursor === "e.2") return Promise.reject(new Error("later"));
    });
    for (const cursor of ["e.1", "e.2", "e.3"]) delivery.follow("finals", made(entry(cursor)));
    await delivery.close();
    const context = { stage: "publish", channel: "finals" };
    expect(cursors()).toEqual(["e.1", "e.2", "e.3"]);
    expect(errors).toEqual([
      ["at once", context],
      ["later", context],
    ]);
  });

  it("goes on without a publish that hangs, and says so", async () => {
    const hang = (cursor: Cursor) => cursor === "e.1" && new Promise(() => {});
    const { delivery, cursors, errors } = noting(hang, { patienceMs: 20 });
    for (const cursor of ["e.1", "e.2"]) delivery.follow("finals", made(entry(cursor)));
    await expect.poll(cursors).toEqual(["e.1", "e.2"]);
    expect(errors).toEqual([[expect.stringMatching(/not ended/), { stage: "publish", channel: "finals" }]]);
  });

  it("goes on without a change that the log does not answer, and says whose fault it is", async () => {
    const { delivery, cursors, errors } = noting(() => {}, { patienceMs: 20 });
    const [hanging, late] = [1, 2].map(() => Promise.withResolvers<Announcement>());
    for (const { promise } of [hanging!, late!]) delivery.follow("finals", promise);
    for (const cursor of ["e.3", "e.5"]) delivery.follow("finals", made(entry(cursor)));
    await expect.poll(cursors).toEqual(["e.3", "e.5"]);
    const report = [
      expect.stringMatching(/the log has not answered/),
      { stage: "publish", channel: "finals" },
    ];
    expect(errors).toEqual([report, report]);
    // It would undo what came after it; what nothing came after is told, however late.
    hanging!.resolve(entry("e.2"));
    late!.resolve(entry("e.6"));
    await delivery.close();
    expect([cursors(), errors.length]).toEqual([["e.3", "e.5", "e.6"], 2]);
  });

  it("does not blame the publisher for what waits for the log", async () => {
    const { delivery, errors } = noting();
    delivery.follow("finals", new Promise(() => {}));
    for (let n = 0; n <= 1_000; n++) delivery.follow("finals", made(entry(`e.${n}`)));
    await idle();
    expect(errors).toEqual([[expect.stringMatching(/the log's answer/), expect.anything()]]);
  });

  it.for([
    ["1,000 updates", 1_100, "x", 1_000],
    ["10 MB", 15, "x".repeat(1_000_000), 10],
  ] as const)("leaves out a page's oldest beyond %s, with one report until it caught up", async (row) => {
    const [, posts, content, kept] = row;
    let open = Promise.withResolvers<void>();
    const { delivery, cursors, errors } = noting(() => open.promise);
    for (const round of [1, 2]) {
      for (let n = 0; n <= posts; n++) {
        delivery.follow("finals", made(entry(`e.${round * 10_000 + n}`, content)));
        await idle();
      }
      expect(errors).toHaveLength(round);
      open.resolve();
      const newest = Array.from({ length: kept }, (_, n) => `e.${round * 10_000 + posts - kept + 1 + n}`);
      await expect.poll(() => cursors().slice(-kept)).toEqual(newest);
      expect(cursors()).toHaveLength(round * (kept + 1));
      await idle();
      open = Promise.withResolvers();
    }
    expect(errors[0]).toEqual([expect.stringMatching(/left out/), { stage: "publish", channel: "finals" }]);
  });

  it.for([
    ["10,000 updates", 20, 600, "x", 10_000],
    ["50 MB", 20, 5, "x".repeat(1_000_000), 50],
  ] as const)("of all pages keeps %s, and leaves out as many of each", async (row) => {
    const [, pages, posts, content, kept] = row;
    const open = Promise.withResolvers<void>();
    const { delivery, calls, errors } = noting(() => open.promise);
    for (let n = 0; n <= posts; n++) {
      for (let page = 0; page < pages; page++)
        delivery.follow(`page-${page}`, made(entry(`e.${n}`, content)));
      await idle();
    }
    open.resolve();
    await delivery.close();
    expect(calls).toHaveLength(pages + kept);
    for (let page = 0; page < pages; page++) {
      const cursors = calls.filter(([id]) => id === `page-${page}`).map((call) => (call[3] as Entry).cursor);
      const each = Math.floor(kept / pages);
      expect([each, each + 1]).toContain(cursors.length - 1);
      // The one that was on the way, and then the newest.
      expect(cursors.at(-1)).toBe(`e.${posts}`);
      expect(cursors.at(1)).toBe(`e.${posts - cursors.length + 2}`);
    }
    expect(errors).toHaveLength(pages);
    expect(errors[0]![0]).toMatch(/the publisher is slower than the posts/);
  });

  it("close() lets the publisher finish all that waits, then closes it", async () => {
    const { delivery, cursors, closed } = noting(async () => {
      expect(closed).not.toHaveBeenCalled();
      await idle();
    });
    for (let n = 1; n <= 20; n++) delivery.follow("finals", made(entry(`e.${n}`)));
    await delivery.close();
    expect(cursors()).toHaveLength(20);
    expect(closed).toHaveBeenCalledOnce();
  });

  it("close() called again ends no sooner than the first", async () => {
    const shut = Promise.withResolvers<void>();
    const closed = vi.fn(() => shut.promise);
    const delivery = createDelivery({ publisher: { publish() {}, close: closed } });
    const ended = vi.fn();
    const closes = [delivery.close(), delivery.close()];
    for (const close of closes) void close.then(ended);
    await idle();
    expect([closed.mock.calls.length, ended.mock.calls.length]).toEqual([1, 0]);
    shut.resolve();
    await Promise.all(closes);
  });

  it("close() waits no longer than it is told, and reports what is left", async () => {
    const { delivery, cursors, errors, closed } = noting(() => new Promise(() => {}));
    for (let n = 1; n <= 3; n++) delivery.follow("finals", made(entry(`e.${n}`)));
    await idle();
    await delivery.close({ drainMs: 10 });
    expect(cursors()).toEqual(["e.1"]);
    expect(errors).toEqual([[expect.stringMatching(/3 updates/), { stage: "publish" }]]);
    expect(closed).toHaveBeenCalledOnce();
  });
});
