import { expect, test } from "vitest";
import { backoff } from "../../src/client/backoff.ts";

test("waits from nothing up to half a second, doubled with each attempt, up to half a minute", () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) => backoff(attempt, () => 1));
  expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  expect(backoff(9, () => 0)).toBe(0);
  expect(backoff(2, () => 0.25)).toBe(500);
});

test("draws by itself when given no dice", () => {
  const drawn = Array.from({ length: 200 }, () => backoff(1));
  expect(Math.max(...drawn)).toBeLessThanOrEqual(1000);
  expect(Math.max(...drawn)).toBeGreaterThan(500);
  expect(Math.min(...drawn)).toBeLessThan(500);
});
