import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { periodic } from "../../src/adapters/periodic.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("looks at each once in the time, together only with those who came with it", () => {
  const looks: string[] = [];
  const all = periodic<string>(30_000, (each) => looks.push(`${each} ${Date.now() - begun}`));
  const begun = Date.now();
  all.add("first");
  vi.advanceTimersByTime(12_500);
  all.add("second");
  all.add("third");
  vi.advanceTimersByTime(60_000);
  expect(looks).toEqual([
    "first 30000",
    "second 42000",
    "third 42000",
    "first 60000",
    "second 72000",
    "third 72000",
  ]);
  for (const each of ["first", "second", "third"]) all.delete(each);
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
