import { describe, expect, it } from "vitest";
import { median, quantile, ratios, seeded, spread } from "../../bench/stats.ts";

describe("the numbers of many turns", () => {
  it("have a median, also between two, and quantiles", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 9])).toBe(3);
    expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3);
    const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
    expect(quantile(upTo(200), 0.99)).toBe(198);
    // Not the worst of a hundred.
    expect(quantile(upTo(100), 0.99)).toBe(99);
    expect(quantile(upTo(20), 0.5)).toBe(10);
    expect(upTo(1_000).map((count) => quantile(upTo(count), 0.99))).toEqual(
      upTo(1_000).map((count) => count - Math.floor(count / 100)),
    );
    expect([0, 1].map((q) => quantile([3, 1, 2], q))).toEqual([1, 3]);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it("are compared turn by turn", () => {
    expect(ratios([1, 4, 9], [2, 4, 0])).toEqual([0.5, 1]);
  });

  it("are told with the least and the most", () => {
    expect(spread([2.9, 2.834, 3.111], 2)).toBe("2.90 (2.83–3.11)");
    expect(spread([12_345], 0)).toBe("12,345");
    expect(spread([], 1)).toBe("–");
  });

  it("are drawn by a chance that comes again", () => {
    const draw = (seed: number) => Array.from({ length: 1_000 }, seeded(seed));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(median(draw(1))).toBeCloseTo(0.5, 1);
  });
});
