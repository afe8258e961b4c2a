import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Frames, newFrames } from "../../src/hub/frames.ts";
import { boundedRounds } from "../../src/hub/rounds.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "performance"] }));
afterEach(() => vi.useRealTimers());

const cursor = (seq: number) => `e.${seq}`;

/** A page whose head the test moves, and how often its log is asked. */
function page(roundsOf = boundedRounds(4_000_000)) {
  const state = { head: 0, asked: 0, fails: false, size: 10 };
  const rounds = roundsOf();
  const ask = (at: number): Promise<Frames> =>
    rounds.ask(cursor(at), async () => {
      state.asked++;
      if (state.fails) throw new Error("the log is away (on purpose)");
      return newFrames("x".repeat(state.size), cursor(state.head));
    });
  return { state, ask };
}

async function settled<T>(promise: Promise<T>): Promise<boolean> {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  promise.then(settle, settle);
  await vi.advanceTimersByTimeAsync(0);
  return isSettled;
}

describe("rounds", () => {
  it("answer the first that asks at once, and others at the same cursor alike, whatever has come since", async () => {
    const { state, ask } = page();
    state.head = 5;
    const first = await ask(1);
    state.head = 6;
    expect(await ask(1)).toBe(first);
    expect(state.asked).toBe(1);
  });

  it("let who is elsewhere wait for the next, which begins a second after the one before", async () => {
    const { state, ask } = page();
    state.head = 5;
    await ask(1);
    const others = [ask(2), ask(3)];
    expect(await settled(others[0]!)).toBe(false);
    await vi.advanceTimersByTimeAsync(990);
    expect(await settled(others[1]!)).toBe(false);
    state.head = 9;
    await vi.advanceTimersByTimeAsync(10);
    for (const answer of await Promise.all(others)) expect(answer.cursor).toBe(cursor(9));
  });

  it("bring readers at many cursors together while something is published all the time", async () => {
    const { state, ask } = page();
    state.head = 200;
    const readers = Array.from({ length: 100 }, (_, n) => ({ at: n, turns: 0 }));
    let isOver = false;
    const follow = async (reader: { at: number }) => {
      while (!isOver) {
        const { cursor: next } = await ask(reader.at);
        reader.at = Number(next.slice(2));
        // As our client does: half a second, more or less.
        await new Promise((resolve) => setTimeout(resolve, 375 + Math.random() * 250));
      }
    };
    const all = readers.map(follow);
    for (let ms = 0; ms < 5_000; ms += 20) {
      state.head++;
      await vi.advanceTimersByTimeAsync(20);
    }
    expect(new Set(readers.map(({ at }) => at)).size).toBeLessThanOrEqual(3);
    const before = state.asked;
    for (let ms = 0; ms < 5_000; ms += 20) {
      state.head++;
      await vi.advanceTimersByTimeAsync(20);
    }
    expect(state.asked - before, "log reads in five seconds").toBeLessThanOrEqual(15);
    isOver = true;
    await vi.advanceTimersByTimeAsync(2_000);
    await Promise.all(all);
  });

  it("ask a log that failed again in the next", async () => {
    const { state, ask } = page();
    state.fails = true;
    await expect(ask(1)).rejects.toThrow("away");
    state.fails = false;
    const again = ask(1);
    expect(await settled(again)).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await again).cursor).toBe(cursor(0));
    expect(state.asked).toBe(2);
  });

  it("keep a bounded number of bytes", async () => {
    const { state, ask } = page();
    state.size = 1_000_000;
    await ask(0);
    const round = Array.from({ length: 8 }, (_, n) => ask(n + 1));
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(round);
    const kept = await Promise.all(Array.from({ length: 8 }, (_, n) => settled(ask(n + 1))));
    expect(kept.filter(Boolean)).toHaveLength(4);
  });

  it("keep it for all pages together, and no longer than a second", async () => {
    const roundsOf = boundedRounds(1_500_000);
    const [one, other] = [page(roundsOf), page(roundsOf)];
    one.state.size = other.state.size = 1_000_000;
    await Promise.all([one.ask(1), other.ask(1)]);
    expect(await Promise.all([settled(one.ask(1)), settled(other.ask(1))])).toEqual([true, false]);
    // Without anybody asking meanwhile, too.
    await vi.advanceTimersByTimeAsync(3_000);
    await other.ask(1);
    expect(await settled(other.ask(1))).toBe(true);
  });

  it("that nobody asked in for long are over", async () => {
    const { state, ask } = page();
    await ask(1);
    const second = ask(2);
    await vi.advanceTimersByTimeAsync(60_000);
    await second;
    state.head = 9;
    expect(await settled(ask(1))).toBe(true);
    expect((await ask(1)).cursor).toBe(cursor(9));
  });
});
