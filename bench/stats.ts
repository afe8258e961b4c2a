/** Numbers of many turns, as one. */

/** The least of the values that a share `q` (0 to 1) of them do not exceed (nearest rank); `NaN` of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  // Of a hundred, 0.99 × 100 may come out a hair above 99.
  const rank = Math.ceil(sorted.length * q - 1e-9);
  return sorted[Math.max(rank, 1) - 1] ?? Number.NaN;
}

/** The middle one, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** Each turn's value by the other's of the same turn: what slows a machine down for a while, slows both. */
export function ratios(values: readonly number[], base: readonly number[]): number[] {
  return values.map((value, turn) => value / base[turn]!).filter(Number.isFinite);
}

/** `2.90 (2.83–3.11)`: the median, and the least and the most. */
export function spread(values: readonly number[], digits: number): string {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return "–";
  const text = (value: number) =>
    value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
  if (finite.length === 1) return text(finite[0]!);
  return `${text(median(finite))} (${text(Math.min(...finite))}–${text(Math.max(...finite))})`;
}

/** Numbers from 0 to 1 that look like chance, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
