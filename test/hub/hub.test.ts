import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Bus, Listener } from "../../src/buses/bus.ts";
import { memoryBus } from "../../src/buses/memory.ts";
import { TidingsError } from "../../src/errors.ts";
import type { Admitted, Connection, Polled, Transport } from "../../src/hub/connection.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import type { Log } from "../../src/logs/log.ts";
import { memoryLog } from "../../src/logs/memory.ts";
import { sqliteLog } from "../../src/logs/sqlite.ts";
import {
  type Announcement,
  draftUpdate,
  type Entry,
  encodeUpdate,
  type Frame,
  parseCursor,
} from "../../src/protocol.ts";
import { emptyFolder } from "../support/folder.ts";

const transport = { encode: (text: string) => text };

/** A connection as an adapter supplies it, that keeps what it is sent. */
async function joinHub(
  hub: Hub,
  cursor?: string,
  channel = "finals",
  over: Transport<string> = transport,
  sent = () => {},
) {
  const frames: Frame[] = [];
  const state = { buffered: 0, closed: undefined as number | undefined };
  const connection: Connection<string> = {
    send(text) {
      frames.push(JSON.parse(text));
      sent();
    },
    close(code) {
      state.closed ??= code;
      reader.closed();
    },
    get bufferedAmount() {
      return state.buffered;
    },
  };
  const answer = await hub.admit({ channel, cursor, transport: over });
  if ("status" in answer) throw new Error(`refused with ${answer.status}`);
  const reader = (answer as Admitted<string>).open(connection);
  const ids = () => frames.flatMap(({ renders }) => Object.keys(renders));
  return { frames, state, reader, ids };
}

const shown = (id: string, content = id) => draftUpdate([{ id, show: true, content }]);

/** A bus whose announcements the test hands on as it likes. */
function handBus(): Bus & {
  held: Announcement[];
  deliver(announcement: Announcement): void;
  tell(status: "up" | "down"): void;
} {
  const listeners = new Set<Listener>();
  let tell: (status: "up" | "down") => void = () => {};
  const held: Announcement[] = [];
  return {
    held,
    publish: async (_channel, announcement) => void held.push(announcement),
    async subscribe(_channel, listener) {
      listeners.add(listener);
      return async () => void listeners.delete(listener);
    },
    deliver: (announcement) => {
      for (const listener of listeners) listener(announcement);
    },
    onStatus(listener) {
      tell = listener;
      return () => {
        tell = () => {};
      };
    },
    tell: (status) => tell(status),
    async close() {},
  };
}

/** A log that counts, and fails when told. */
function watchedLog(log: Log = memoryLog()) {
  const counts = { since: 0, heads: 0 };
  const state = { fails: false, hangs: false };
  const check = async () => {
    if (state.hangs) await new Promise(() => {});
    if (state.fails) throw new TidingsError("unavailable", "the log is away (on purpose)");
  };
  const watched: Log = {
    ...log,
    async since(...args) {
      counts.since++;
      await check();
      return log.since(...args);
    },
    async heads(...args) {
      counts.heads++;
      await check();
      return log.heads(...args);
    },
  };
  return { log: watched, counts, state };
}

const errors: unknown[] = [];
const onError = (error: unknown) => errors.push(error);
const hubs: Hub[] = [];
function start(options: Parameters<typeof createHub>[0]): Hub {
  const hub = createHub({ onError, ...options });
  hubs.push(hub);
  return hub;
}

beforeEach(() => {
  errors.length = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(hubs.splice(0).map((hub) => hub.close({ drainMs: 0 })));
});

describe("a connection", () => {
  it("that ends as it is written to, as a poll's does, is counted all the same", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = start({ log, bus });
    const { reader, frames } = await joinHub(hub, undefined, "finals", transport, () => reader.closed());
    await publish(log, bus, "one");
    await vi.waitFor(() => expect(frames).toHaveLength(1));
    expect(hub.stats()).toMatchObject({ frames: 1, readers: 0 });
  });

  it("that takes the place of another's is not detached with that one's end", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = start({ log, bus });
    const got: string[] = [];
    const connection: Connection<string> = { send: (text) => got.push(text), close() {}, bufferedAmount: 0 };
    const join = async () => {
      const answer = await hub.admit({ channel: "finals", transport });
      if ("status" in answer) throw new Error(`refused with ${answer.status}`);
      return answer.open(connection);
    };
    const first = await join();
    await join();
    first.closed();
    await publish(log, bus, "one");
    await vi.waitFor(() => expect(got).toHaveLength(1));
  });
});

async function publish(log: Log, bus: Bus, id: string): Promise<void> {
  await bus.publish("finals", await log.append("finals", shown(id)));
}

describe("what the bus does wrong, the log mends", () => {
  it("lost: the next announcement shows the gap, and the reader gets all of it as one update", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    const hub = start({ log, bus });
    const { frames, ids } = await joinHub(hub);
    for (const id of ["a", "b", "c"]) await log.append("finals", shown(id));
    bus.deliver((await log.append("finals", shown("d"))) as Entry);
    await expect.poll(ids).toEqual(["a", "b", "c", "d"]);
    expect(frames).toHaveLength(1);
    expect(hub.stats().gaps).toBe(1);
  });

  it("repeated, reordered, old: each update once, in order", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    const { frames, ids } = await joinHub(start({ log, bus }));
    const entries: Entry[] = [];
    for (const id of ["a", "b", "c", "d"]) entries.push((await log.append("finals", shown(id))) as Entry);
    for (const n of [0, 0, 2, 1, 1, 3, 0, 2]) {
      bus.deliver(entries[n]!);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(ids).toEqual(["a", "b", "c", "d"]);
    const seqs = frames.map(({ cursor }) => Number(cursor!.split(".")[1]));
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  });

  it("a cursor alone: the update is read from the log", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    const { ids } = await joinHub(start({ log, bus }));
    bus.deliver({ cursor: (await log.append("finals", shown("a"))).cursor });
    await expect.poll(ids).toEqual(["a"]);
  });

  it("an epoch or number that the log does not know is never adopted", async () => {
    const { log, counts } = watchedLog();
    const bus = handBus();
    const { frames, ids } = await joinHub(start({ log, bus }));
    const empty = { renders: new Map(), removals: ["forged"] };
    for (const cursor of ["forged.1", "forged.99999", "nonsense", "", "e.-1"])
      bus.deliver({ ...empty, cursor });
    await expect.poll(() => counts.since).toBeGreaterThan(0);
    bus.deliver((await log.append("finals", shown("a"))) as Entry);
    await expect.poll(ids).toEqual(["a"]);
    expect(JSON.stringify(frames)).not.toContain("forged");
  });

  it("silence: the heads are asked for every 5 s, every 1 s while the bus is down, at once when it is back", async () => {
    vi.useFakeTimers();
    const { log, counts } = watchedLog();
    const bus = handBus();
    const { ids } = await joinHub(start({ log, bus }));
    await log.append("finals", shown("never announced"));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(ids()).toEqual(["never announced"]);

    bus.tell("down");
    await log.append("finals", shown("while down"));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ids()).toEqual(["never announced", "while down"]);
    await vi.advanceTimersByTimeAsync(3_000);
    const asked = counts.heads;
    expect(asked).toBeGreaterThanOrEqual(5);

    await log.append("finals", shown("just before"));
    bus.tell("up");
    await vi.advanceTimersByTimeAsync(1);
    expect(ids()).toContain("just before");
    await vi.advanceTimersByTimeAsync(4_000);
    expect(counts.heads).toBe(asked + 1);
  });
});

describe("a transport that publishes", () => {
  /** Publishes what it is given, or refuses to, to the connections that are subscribed. */
  function topical(takes = true) {
    const subscribed = new Set<Connection<string>>();
    const published: string[][] = [];
    const over: Transport<string> = {
      ...transport,
      topics: {
        subscribe(connection, topic) {
          expect(topic).toBe("finals");
          subscribed.add(connection);
        },
        unsubscribe: (connection) => void subscribed.delete(connection),
        publish(_topic, texts) {
          published.push([...texts]);
          if (takes) for (const text of texts) for (const connection of subscribed) connection.send(text);
          return takes;
        },
      },
    };
    return { over, subscribed, published };
  }

  for (const takes of [true, false]) {
    it(`brings each reader each update once: ${takes ? "by one call" : "which it refuses"}`, async () => {
      const [log, bus] = [memoryLog(), handBus()];
      const { cursor } = await log.append("finals", shown("1"));
      const hub = start({ log, bus });
      const { over, subscribed, published } = topical(takes);
      const readers = [await joinHub(hub, "", "finals", over), await joinHub(hub, "", "finals", over)];
      const other = await joinHub(hub);
      for (const id of ["2", "3"]) bus.deliver((await log.append("finals", shown(id))) as Entry);
      await new Promise((resolve) => setImmediate(resolve));
      readers.push(await joinHub(hub, cursor, "finals", over));
      await expect.poll(() => subscribed.size).toBe(3);
      bus.deliver((await log.append("finals", shown("4"))) as Entry);
      await expect.poll(() => other.ids()).toHaveLength(3); // it may wait for a moment after two at once
      for (const { ids } of [...readers, other]) expect(ids()).toEqual(["2", "3", "4"]);
      expect(published.map((texts) => texts.length)).toEqual([2, 1]);
      // Two, joined or not, are one to the metrics; the third reader got them as one update.
      expect(hub.stats().frames).toBe(3 + 1 + 4);
    });
  }

  it("does not publish to a reader whose socket is full, until it has caught up", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = start({ log, bus });
    const { over, subscribed, published } = topical();
    const [quick, slow] = [await joinHub(hub, "", "finals", over), await joinHub(hub, "", "finals", over)];
    await bus.publish("finals", await log.append("finals", shown("1")));
    await expect.poll(() => slow.ids()).toEqual(["1"]);
    slow.state.buffered = 10_000_000;
    for (const id of ["2", "3"]) {
      await bus.publish("finals", await log.append("finals", shown(id)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(subscribed.size).toBe(1);
    expect(slow.ids()).toEqual(["1"]);
    slow.state.buffered = 0;
    slow.reader.drained();
    await expect.poll(() => subscribed.size).toBe(2);
    await bus.publish("finals", await log.append("finals", shown("4")));
    await expect.poll(() => slow.ids()).toEqual(["1", "2", "3", "4"]);
    expect(slow.frames).toHaveLength(3);
    expect(quick.ids()).toEqual(["1", "2", "3", "4"]);
    expect(published).toHaveLength(4);
  });

  it("brings resets and heartbeats, too", async () => {
    vi.useFakeTimers();
    try {
      const [log, bus] = [memoryLog(), memoryBus()];
      await log.append("finals", shown("1"));
      const hub = start({ log, bus });
      const { over, published } = topical();
      const readers = [await joinHub(hub, "", "finals", over), await joinHub(hub, "", "finals", over)];
      const cursor = log.renew("finals");
      await vi.advanceTimersByTimeAsync(6_000);
      await vi.advanceTimersByTimeAsync(30_000);
      for (const { frames } of readers) {
        expect(frames).toEqual([
          { renders: {}, removals: [], cursor, reset: true },
          { renders: {}, removals: [], cursor },
        ]);
      }
      expect(published).toHaveLength(2);
      expect(hub.stats()).toMatchObject({ frames: 4, resets: 2 });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("updates of one turn of the event loop", () => {
  /** Joined, they are one text with bars. */
  const joining = { ...transport, join: (texts: readonly string[]) => texts.join("|") };

  async function reader(hub: Hub, over: Transport<string>, buffered = () => 0) {
    const sent: string[] = [];
    const answer = (await hub.admit({ channel: "finals", transport: over })) as Admitted<string>;
    answer.open({
      send: (text) => void sent.push(text),
      close() {},
      get bufferedAmount() {
        return buffered();
      },
    });
    return sent;
  }

  it("leave together at its end, in order; by one call where the transport can join them", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    await log.append("finals", shown("before"));
    const hub = start({ log, bus });
    const [together, apart] = [await reader(hub, joining), await reader(hub, transport)];
    const entries: Entry[] = [];
    for (const id of ["a", "b", "c"]) entries.push((await log.append("finals", shown(id))) as Entry);
    for (const entry of entries) bus.deliver(entry);
    expect([together, apart]).toEqual([[], []]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(apart).toEqual(entries.map(encodeUpdate));
    expect(together).toEqual([entries.map(encodeUpdate).join("|")]);
    expect(hub.stats()).toMatchObject({ updates: 3, gaps: 0 });
  });

  it("wait for others after many have left, as long as those took to write, 5 ms at most; a lone one never does", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    let now = 1_000;
    let took = 3;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    try {
      const [log, bus] = [memoryLog(), handBus()];
      await log.append("finals", shown("before"));
      const sent: string[][] = [];
      const answer = (await start({ log, bus }).admit({
        channel: "finals",
        transport: joining,
      })) as Admitted<string>;
      answer.open({
        send(text) {
          now += took;
          sent.push(text.split("|").map((each) => Object.keys(JSON.parse(each).renders)[0]!));
        },
        close() {},
        bufferedAmount: 0,
      });
      const deliver = async (...ids: string[]) => {
        for (const id of ids) bus.deliver((await log.append("finals", shown(id))) as Entry);
        await new Promise((resolve) => setImmediate(resolve));
      };
      await deliver("a");
      await deliver("b");
      expect(sent).toEqual([["a"], ["b"]]);
      await deliver("c", "d");
      expect(sent.at(-1)).toEqual(["c", "d"]);
      await deliver("e");
      vi.advanceTimersByTime(2);
      await deliver("f");
      expect(sent).toHaveLength(3);
      vi.advanceTimersByTime(1);
      expect(sent.at(-1)).toEqual(["e", "f"]);
      now += 3;
      await deliver("g");
      expect(sent.at(-1)).toEqual(["g"]);
      took = 40;
      await deliver("h", "i");
      await deliver("j");
      vi.advanceTimersByTime(4);
      expect(sent.at(-1)).toEqual(["h", "i"]);
      vi.advanceTimersByTime(1);
      expect(sent.at(-1)).toEqual(["j"]);
    } finally {
      clock.mockRestore();
    }
  });

  it("come before what the log says of a gap behind them, and before the last words", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    await log.append("finals", shown("before"));
    const hub = start({ log, bus });
    const sent = await reader(hub, transport);
    const entries: Entry[] = [];
    for (const id of ["a", "b", "c"]) entries.push((await log.append("finals", shown(id))) as Entry);
    bus.deliver(entries[0]!);
    bus.deliver(entries[2]!);
    await expect.poll(() => sent).toHaveLength(2);
    expect(sent[0]).toBe(encodeUpdate(entries[0]!));
    expect(sent[1]).toContain(entries[2]!.cursor);
    bus.deliver((await log.append("finals", shown("d"))) as Entry);
    void hub.close({ drainMs: 0 });
    expect(sent[2]).toContain('"d"');
    expect(sent[3]).toContain("retry");
  });

  it("are all behind a reader whose socket is full: it gets them as one when it has drained", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    await log.append("finals", shown("before"));
    const hub = start({ log, bus });
    let buffered = 0;
    const sent = await reader(hub, joining, () => buffered);
    buffered = 1_000_000;
    for (const id of ["a", "b"]) bus.deliver((await log.append("finals", shown(id))) as Entry);
    await new Promise((resolve) => setImmediate(resolve));
    expect(hub.stats().lagging).toBe(1);
    buffered = 0;
    await expect.poll(() => sent).toHaveLength(1);
    expect(Object.keys(JSON.parse(sent[0]!).renders)).toEqual(["a", "b"]);
  });
});

describe("another epoch", () => {
  it("after a restart of the log's process, readers go on without a reset", async () => {
    const { path, dispose } = emptyFolder();
    const file = join(path, "log.db");
    const first = sqliteLog({ path: file });
    await first.append("finals", shown("a"));
    const [before] = await first.heads(["finals"]);
    await first.close();
    const log = sqliteLog({ path: file });
    const bus = memoryBus();
    const { frames } = await joinHub(start({ log, bus }), before);
    const announcement = await log.append("finals", shown("b"));
    await bus.publish("finals", announcement);
    await expect.poll(() => frames.length).toBe(1);
    expect(frames[0]).toMatchObject({ cursor: announcement.cursor, renders: { b: { at: 2 } } });
    expect(announcement.cursor.split(".")[0]).not.toBe(before!.split(".")[0]);
    await log.close();
    await dispose();
  });

  it("a log that lost its end resets its readers, who go on from the head", async () => {
    const [full, short, bus] = [memoryLog(), memoryLog(), handBus()];
    let log = full;
    const swapping: Log = {
      ...full,
      since: (...args) => log.since(...args),
      heads: (...args) => log.heads(...args),
    };
    const { frames } = await joinHub(start({ log: swapping, bus }));
    bus.deliver((await full.append("finals", shown("lost"))) as Entry);
    log = short;
    bus.deliver((await short.append("finals", shown("kept"))) as Entry);
    await expect.poll(() => frames.length).toBe(2);
    const [head] = await short.heads(["finals"]);
    expect(frames[1]).toEqual({ renders: {}, removals: [], cursor: head, reset: true });
    bus.deliver((await short.append("finals", shown("after"))) as Entry);
    await expect.poll(() => frames.at(-1)!.renders).toHaveProperty("after");
  });

  it("what was announced before the end was lost, and arrives after, is not taken for what comes next", async () => {
    const { path, dispose } = emptyFolder();
    const [file, backup] = [join(path, "log.db"), join(path, "backup.db")];
    let log = sqliteLog({ path: file });
    await log.append("finals", shown("kept"));
    const other = new DatabaseSync(file);
    other.exec(`VACUUM INTO '${backup}'`);
    other.close();
    const bus = handBus();
    const current: Log = {
      ...log,
      since: (...args) => log.since(...args),
      heads: (...args) => log.heads(...args),
    };
    const { frames, ids } = await joinHub(start({ log: current, bus }));
    const late = (await log.append("finals", shown("lost"))) as Entry;
    // Only of this one is the bus told in time: the log has it all.
    bus.deliver((await log.append("finals", shown("lost, too"))) as Entry);
    await expect.poll(ids).toEqual(["lost", "lost, too"]);
    await log.close();
    log = sqliteLog({ path: backup });
    bus.tell("up");
    await expect.poll(() => frames.at(-1)).toMatchObject({ reset: true });
    // Its number follows on the head's, but the epoch is another: the reset began it.
    const [head, lost] = [parseCursor(frames.at(-1)!.cursor)!, parseCursor(late.cursor)!];
    expect([head.seq + 1, head.epoch]).toEqual([lost.seq, expect.not.stringMatching(lost.epoch)]);
    bus.deliver(late);
    bus.deliver((await log.append("finals", shown("next"))) as Entry);
    await expect.poll(() => frames.at(-1)!.renders).toHaveProperty("next");
    expect(ids()).toEqual(["lost", "lost, too", "next"]);
    await log.close();
    await dispose();
  });
});

describe("readers that are behind", () => {
  it("share one answer of the log per cursor", async () => {
    const { log, counts } = watchedLog();
    const before = (await log.append("finals", shown("a"))).cursor;
    await log.append("finals", shown("b"));
    const hub = start({ log, bus: memoryBus() });
    const readers = await Promise.all(Array.from({ length: 500 }, () => joinHub(hub, before)));
    await expect.poll(() => readers.every(({ frames }) => frames.length === 1)).toBe(true);
    expect(counts.since).toBe(1);
  });

  it("get what they missed once, also when they drain while they are written to", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = start({ log, bus });
    const { cursor } = await log.append("finals", shown("1"));
    await log.append("finals", shown("2"));
    const frames: Frame[] = [];
    const answer = (await hub.admit({ channel: "finals", cursor, transport })) as Admitted<string>;
    const reader = answer.open({
      send(text) {
        frames.push(JSON.parse(text));
        reader.drained();
      },
      close() {},
      bufferedAmount: 0,
    });
    await vi.waitFor(() => expect(hub.stats().lagging).toBe(0));
    expect(frames.map(({ renders }) => Object.keys(renders))).toEqual([["2"]]);
  });

  it("that are slow are skipped, and get one update when they have drained", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const hub = start({ log, bus });
    const { frames, state, reader, ids } = await joinHub(hub);
    await expect.poll(() => hub.stats().lagging).toBe(0);
    state.buffered = 10_000_000;
    for (let n = 0; n < 50; n++)
      await bus.publish("finals", await log.append("finals", shown(`post ${n % 10}`, `${n}`)));
    await expect.poll(() => hub.stats().lagging).toBe(1);
    expect(frames).toHaveLength(0);
    state.buffered = 0;
    reader.drained();
    await expect.poll(() => frames.length).toBe(1);
    expect(ids()).toHaveLength(10);
    await bus.publish("finals", await log.append("finals", shown("live")));
    await expect.poll(() => frames).toHaveLength(2);
  });

  it("are told in parts when it is long, each part once", async () => {
    const [log, bus] = [memoryLog(), memoryBus()];
    const [cursor] = await log.heads(["finals"]);
    const names = Array.from({ length: 6 }, (_, n) => `post ${n}`);
    for (const name of names) await log.append("finals", shown(name, "x".repeat(400_000)));
    const { frames, ids } = await joinHub(start({ log, bus }), cursor);
    await expect.poll(ids).toEqual(names);
    expect(frames.length).toBeGreaterThan(1);
    expect(frames.at(-1)!.cursor).toBe((await log.heads(["finals"]))[0]);
  });

  it("that are ahead of this process make it read the log first", async () => {
    const [log, bus] = [memoryLog(), handBus()];
    const hub = start({ log, bus });
    const behind = await joinHub(hub);
    const { cursor } = await log.append("finals", shown("a")); // announced to another process only
    const ahead = await joinHub(hub, cursor);
    await expect.poll(behind.ids).toEqual(["a"]);
    expect(ahead.frames).toEqual([]);
    bus.deliver((await log.append("finals", shown("b"))) as Entry);
    await expect.poll(ahead.ids).toEqual(["b"]);
    await expect.poll(behind.ids).toEqual(["a", "b"]);
  });
});

describe("when the log is away", () => {
  it("newcomers to a page not read yet are told to come back", async () => {
    const { log, state, counts } = watchedLog();
    const hub = start({ log, bus: memoryBus() });
    state.fails = true;
    expect(await hub.admit({ channel: "finals", transport })).toMatchObject({ status: 503, retryAfter: 5 });
    const asked = counts.heads;
    for (let n = 0; n < 20; n++) expect(await hub.poll({ channel: "finals" })).toMatchObject({ status: 503 });
    expect(counts.heads).toBe(asked); // not by each of them
    state.fails = false;
    await vi.waitFor(() => joinHub(hub), { timeout: 3_000, interval: 100 });
    expect(hub.stats()).toMatchObject({ readers: 1, channels: 1 });
  });

  it("readers wait, and get everything when it is back", async () => {
    const { log, state } = watchedLog();
    const bus = handBus();
    const { ids } = await joinHub(start({ log, bus }));
    state.fails = true;
    bus.deliver({ cursor: (await log.append("finals", shown("a"))).cursor });
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    state.fails = false;
    bus.deliver({ cursor: (await log.append("finals", shown("b"))).cursor });
    await expect.poll(ids).toEqual(["a", "b"]);
  });

  it("that never answers, it is given up after 10 s, and asked again", async () => {
    vi.useFakeTimers();
    const { log, state } = watchedLog();
    const { frames, ids } = await joinHub(start({ log, bus: handBus() }));
    state.hangs = true;
    await vi.advanceTimersByTimeAsync(40_000);
    expect(errors.length).toBeGreaterThan(0);
    expect(frames.length, "heartbeats go on").toBeGreaterThan(0);
    state.hangs = false;
    await log.append("finals", shown("a"));
    await vi.advanceTimersByTimeAsync(16_000);
    expect(ids()).toEqual(["a"]);
  });

  it.each(["fails", "hangs"] as const)(
    "and %s, readers that are behind hear that their connection is not, from where they are",
    async (how) => {
      vi.useFakeTimers();
      const { log, state } = watchedLog();
      const hub = start({ log, bus: memoryBus() });
      const { cursor } = await log.append("finals", shown("a"));
      await log.append("finals", shown("b"));
      await joinHub(hub);
      state[how] = true;
      const behind = await joinHub(hub, cursor);
      const greeted = await joinHub(hub, cursor, "finals", { ...transport, greets: true });
      const nonsense = await joinHub(hub, "nonsense");
      await vi.advanceTimersByTimeAsync(1_000);
      expect(greeted.frames).toEqual([{ renders: {}, removals: [], cursor }]);
      await vi.advanceTimersByTimeAsync(59_000);
      for (const { frames } of [behind, greeted]) {
        expect(frames.length).toBeGreaterThanOrEqual(2);
        for (const frame of frames) expect(frame).toEqual({ renders: {}, removals: [], cursor });
      }
      expect(nonsense.frames).toEqual([]);
      state[how] = false;
      await vi.advanceTimersByTimeAsync(12_000);
      for (const { ids } of [behind, greeted]) expect(ids()).toEqual(["b"]);
      expect(nonsense.frames[0]).toMatchObject({ reset: true });
    },
  );

  it("is asked once a second, whatever the bus announces", async () => {
    const { log, state, counts } = watchedLog();
    const bus = handBus();
    const { ids } = await joinHub(start({ log, bus }));
    state.fails = true;
    const announcement = { cursor: (await log.append("finals", shown("a"))).cursor };
    bus.deliver(announcement);
    await expect.poll(() => errors.length).toBe(1);
    const asked = counts.since;
    for (let n = 0; n < 500; n++) {
      bus.deliver(announcement);
      await Promise.resolve();
    }
    expect(counts.since).toBe(asked);
    state.fails = false;
    // Not with the heads only, up to five seconds later.
    await expect.poll(ids, { timeout: 2_500 }).toEqual(["a"]);
  });

  it("and a clock that is set back meanwhile: readers do not wait until it is as late again", async () => {
    const { log, state } = watchedLog();
    const hub = start({ log, bus: memoryBus() });
    const { cursor } = await log.append("finals", shown("a"));
    await log.append("finals", shown("b"));
    await joinHub(hub);
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: now + 86_400_000 });
    state.fails = true;
    const { ids } = await joinHub(hub, cursor);
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    vi.setSystemTime(now);
    state.fails = false;
    await expect.poll(ids, { timeout: 3_000 }).toEqual(["b"]);
  });

  it("a thousand readers that are behind make it one report a second", async () => {
    vi.useFakeTimers();
    const { log, state } = watchedLog();
    const hub = start({ log, bus: memoryBus() });
    for (let n = 0; n < 100; n++) await log.append("finals", shown("a", String(n)));
    const [head] = await log.heads(["finals"]);
    await joinHub(hub, head);
    state.fails = true;
    for (let n = 0; n < 1_000; n++) await joinHub(hub, head!.replace(/\d+$/, String(n % 100)));
    errors.length = 0;
    await vi.advanceTimersByTimeAsync(4_500);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.length).toBeLessThanOrEqual(8);
    state.fails = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(hub.stats().lagging).toBe(0);
  });
});

describe("a clock that is set back", () => {
  it("keeps no heartbeat from readers, and no page from being let go", async () => {
    vi.useFakeTimers();
    const hub = start({ log: memoryLog(), bus: memoryBus() });
    const { frames } = await joinHub(hub);
    const other = await joinHub(hub, "", "other");
    vi.setSystemTime(Date.now() - 3_600_000);
    other.reader.closed();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(frames).toHaveLength(1);
    expect(hub.stats().channels).toBe(1);
  });
});

describe("while a page's first reader joins", () => {
  it("what is announced while the head is read is not lost", async () => {
    const inner = memoryLog();
    const bus = memoryBus();
    let answer = () => {};
    const log: Log = {
      ...inner,
      async heads(channels) {
        const heads = await inner.heads(channels);
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        return heads;
      },
    };
    const joining = joinHub(start({ log, bus }));
    await new Promise((resolve) => setTimeout(resolve, 10));
    await bus.publish("finals", await inner.append("finals", shown("in between")));
    answer();
    const { ids } = await joining;
    await expect.poll(ids, { timeout: 500 }).toEqual(["in between"]);
  });

  it.each(["hangs", "throws"])(
    "a bus that %s keeps nobody out: the log is asked every second",
    async (how) => {
      vi.useFakeTimers();
      const log = memoryLog();
      let isUp = false;
      const inner = memoryBus();
      const bus: Bus = {
        ...inner,
        async subscribe(channel, listener) {
          if (!isUp && how === "throws") throw new Error("no bus (on purpose)");
          while (!isUp) await new Promise((resolve) => setTimeout(resolve, 100));
          return inner.subscribe(channel, listener);
        },
      };
      const hub = start({ log, bus });
      const joining = joinHub(hub);
      await vi.advanceTimersByTimeAsync(1_000);
      const { ids } = await joining;
      await log.append("finals", shown("a"));
      await vi.advanceTimersByTimeAsync(1_100);
      expect(ids()).toEqual(["a"]);
      isUp = true;
      await vi.advanceTimersByTimeAsync(2_000);
      await bus.publish("finals", await log.append("finals", shown("b")));
      await vi.advanceTimersByTimeAsync(0);
      expect(ids()).toEqual(["a", "b"]);
    },
  );
});

describe("readers that poll", () => {
  it("at one cursor cost one question to the log, and what it knows moves the page's head", async () => {
    const { log, counts } = watchedLog();
    const hub = start({ log, bus: handBus() });
    const { cursor } = await log.append("finals", shown("1"));
    expect(await hub.poll({ channel: "finals" })).toMatchObject({ kind: "nothing", cursor });
    const live = await joinHub(hub, cursor);
    await log.append("finals", shown("2")); // and the bus says nothing
    const ask = () => hub.poll({ channel: "finals", cursor: "elsewhere.1" });
    const asked = counts.since;
    const answers = await Promise.all(Array.from({ length: 100 }, ask));
    expect(new Set(answers.map((answer) => "kind" in answer && answer.kind))).toEqual(new Set(["reset"]));
    await expect.poll(live.ids).toEqual(["2"]);
    // One for them; one for the head, and once more, for there was reason to ask while it was asked.
    expect(counts.since - asked).toBeLessThanOrEqual(3);
    expect(hub.stats()).toMatchObject({ polls: 101, readers: 1 });
  });

  it("do not make a log that has failed answer for each of their cursors", async () => {
    const { log, state, counts } = watchedLog();
    const hub = start({ log, bus: memoryBus() });
    await log.append("finals", shown("1"));
    await hub.poll({ channel: "finals" });
    state.fails = true;
    const asked = counts.since;
    const cursors = Array.from({ length: 200 }, (_, n) => `elsewhere.${n}`);
    const answers = await Promise.all(cursors.map((cursor) => hub.poll({ channel: "finals", cursor })));
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, retryAfter: 5 });
    // Those that were asked for at the same time, before it had failed: 16, and the first of the round.
    expect(counts.since - asked).toBeLessThanOrEqual(17);
    state.fails = false;
    const again = () => hub.poll({ channel: "finals", cursor: "elsewhere.1" });
    await expect.poll(again, { timeout: 3_000 }).toMatchObject({ kind: "reset" });
  });

  it("are let in when a bus is back that had thrown instead of refusing", async () => {
    const bus = memoryBus();
    let isAway = true;
    const throwing: Bus = {
      ...bus,
      subscribe(...args) {
        if (isAway) throw new Error("not connected");
        return bus.subscribe(...args);
      },
    };
    const hub = start({ log: memoryLog(), bus: throwing });
    for (let n = 0; n < 1_001; n++) await hub.poll({ channel: `page-${n}` });
    isAway = false;
    expect(await hub.poll({ channel: "finals" })).toMatchObject({ kind: "nothing" });
  });

  it("while no page can be read are told to come back, with one report a second", async () => {
    const { log, state } = watchedLog();
    const hub = start({ log, bus: memoryBus() });
    state.fails = true;
    for (let n = 0; n < 50; n++) {
      expect(await hub.poll({ channel: `page-${n}` })).toMatchObject({ status: 503, retryAfter: 5 });
    }
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.length).toBeLessThanOrEqual(3);
    state.fails = false;
    await expect
      .poll(() => hub.poll({ channel: "page-1" }), { timeout: 3_000 })
      .toMatchObject({ kind: "nothing" });
  });
});

describe("the end", () => {
  it("lets nobody wait for a log that does not answer, and who closes again waits with the first", async () => {
    const { log, state } = watchedLog();
    const hub = start({ log, bus: memoryBus() });
    const { state: reader } = await joinHub(hub, "", "other");
    state.hangs = true;
    const waiting = [hub.admit({ channel: "finals", transport }), hub.poll({ channel: "finals" })];
    const began = performance.now();
    const closed = hub.close({ drainMs: 60_000 });
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ status: 503 });
    await hub.close();
    await closed;
    expect(performance.now() - began).toBeLessThan(9_000);
    expect([reader.closed, hub.stats().readers, errors]).toEqual([1012, 0, []]);
  });
});

describe("the door", () => {
  it("keeps no more than a thousand pages that nobody reads, whoever asks for them", async () => {
    const hub = start({ log: memoryLog(), bus: memoryBus() });
    await joinHub(hub, undefined, "read");
    for (let n = 0; n < 3_000; n++) await hub.poll({ channel: `page-${n}` });
    expect(hub.stats().channels).toBeLessThanOrEqual(1_002);
    const { frames } = await joinHub(hub, undefined, "page-0");
    expect(frames).toEqual([]);
    expect(hub.stats()).toMatchObject({ readers: 2 });
  });

  it.for(["polls", "waits"])(
    "keeps a page where a reader %s, whoever asks once each for others",
    async (how) => {
      const left: string[] = [];
      const bus: Bus = {
        ...memoryBus(),
        subscribe: async (channel) => async () => void left.push(channel),
      };
      const hub = start({ log: memoryLog(), bus });
      const { cursor } = (await hub.poll({ channel: "finals" })) as Polled;
      if (how === "polls") await hub.poll({ channel: "finals", cursor });
      else (await joinHub(hub, cursor)).reader.closed();
      // A cursor of another page, or none at all, is no return.
      for (let n = 0; n < 1_500; n++) await hub.poll({ channel: `page-${n}`, cursor: "elsewhere.1" });
      expect(left).toHaveLength(500);
      expect(left).not.toContain("finals");
      // Of pages that somebody came back to the longest idle go first: no more are kept than of the others.
      for (let n = 0; n < 1_500; n++) {
        const { cursor } = (await hub.poll({ channel: `again-${n}` })) as Polled;
        await hub.poll({ channel: `again-${n}`, cursor });
      }
      expect(hub.stats().channels).toBeLessThanOrEqual(2_000);
      expect(left).toContain("finals");
      expect(left).not.toContain("again-1499");
    },
  );

  it("lets a page go some time after its last reader left, and not before", async () => {
    vi.useFakeTimers();
    const subscribed = { now: 0 };
    const bus: Bus = {
      ...memoryBus(),
      async subscribe() {
        subscribed.now++;
        return async () => void subscribed.now--;
      },
    };
    const hub = start({ log: memoryLog(), bus });
    const { reader } = await joinHub(hub);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(subscribed.now).toBe(1);
    reader.closed();
    await vi.advanceTimersByTimeAsync(9_000);
    expect(subscribed.now).toBe(1);
    await vi.advanceTimersByTimeAsync(12_000);
    expect(subscribed.now).toBe(0);
    expect(hub.stats()).toMatchObject({ readers: 0, channels: 0 });
  });

  it("gives the place back when the upgrade fails", async () => {
    const hub = start({ log: memoryLog(), bus: memoryBus(), maxConnectionsPerAddress: 1 });
    const first = (await hub.admit({
      channel: "finals",
      address: "10.0.0.1",
      transport,
    })) as Admitted<string>;
    expect(await hub.admit({ channel: "finals", address: "10.0.0.1", transport })).toMatchObject({
      status: 429,
    });
    first.cancel();
    first.cancel();
    expect(await hub.admit({ channel: "finals", address: "10.0.0.1", transport })).toHaveProperty("open");
  });

  it("a heartbeat says where the head is, after 25 s of silence", async () => {
    vi.useFakeTimers();
    const log = memoryLog();
    const { cursor } = await log.append("finals", shown("a"));
    const { frames } = await joinHub(start({ log, bus: memoryBus() }));
    await vi.advanceTimersByTimeAsync(24_000);
    expect(frames).toEqual([]);
    await vi.advanceTimersByTimeAsync(7_000);
    expect(frames).toEqual([{ renders: {}, removals: [], cursor }]);
  });

  it("ends though its bus answers nothing", async () => {
    const bus: Bus = { ...memoryBus(), subscribe: async () => () => new Promise(() => {}) };
    const hub = createHub({ log: memoryLog(), bus });
    await joinHub(hub);
    const started = Date.now();
    await hub.close();
    expect(Date.now() - started).toBeLessThan(2_000);
  });

  it("asks readers back in a window that grows with their number", async () => {
    const hub = createHub({ log: memoryLog(), bus: memoryBus() });
    const readers = await Promise.all(Array.from({ length: 3_000 }, () => joinHub(hub)));
    await hub.close();
    expect(readers[0]!.frames).toEqual([{ renders: {}, removals: [], retry: [500, 6_000] }]);
    expect(new Set(readers.map(({ state }) => state.closed))).toEqual(new Set([1012]));
    expect(await hub.admit({ channel: "finals", transport })).toMatchObject({ status: 503 });
  });
});

it("two processes on one log and bus show every reader the same, whoever published", async () => {
  const [log, bus] = [memoryLog(), memoryBus()];
  const [one, two] = [start({ log, bus }), start({ log, bus })];
  const readers = [await joinHub(one), await joinHub(two)];
  await Promise.all(
    Array.from({ length: 100 }, async (_, n) =>
      bus.publish("finals", await log.append("finals", shown(`${n} x`))),
    ),
  );
  for (const { ids } of readers) await expect.poll(() => ids().length).toBe(100);
  expect(readers[0]!.ids()).toEqual(readers[1]!.ids());
});
