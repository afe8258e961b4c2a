import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { periodic } from "../../src/adapters/periodic.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it.each([
  ["came together", 0],
  ["came within half a minute", 500],
])("looks at each once in the time, and at few at once, when they %s", (_how, apartMs) => {
  const looks: { each: number; at: number }[] = [];
  const all = periodic<number>(30_000, (each) => looks.push({ each, at: Date.now() - begun }));
  const begun = Date.now();
  for (let n = 0; n < 60; n++) {
    all.add(n);
    vi.advanceTimersByTime(apartMs);
  }
  vi.advanceTimersByTime(90_000 - 60 * apartMs);
  for (let n = 0; n < 60; n++) {
    const [first, ...later] = looks.filter(({ each }) => each === n).map(({ at }) => at - n * apartMs);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(30_000);
    expect(later).toEqual(later.map((_, i) => first! + (i + 1) * 30_000));
    expect(later.length).toBeGreaterThan(0);
  }
  for (let second = 61; second <= 90; second++) {
    expect(looks.filter(({ at }) => at === second * 1_000)).toHaveLength(2);
  }
  for (let n = 0; n < 60; n++) all.delete(n);
  expect(vi.getTimerCount()).toBe(0);
});

it("looks at all together where the time is short", () => {
  const looks: string[] = [];
  const all = periodic<string>(100, (each) => looks.push(each));
  all.add("first");
  vi.advanceTimersByTime(50);
  all.add("second");
  vi.advanceTimersByTime(50);
  expect(looks).toEqual(["first", "second"]);
});
