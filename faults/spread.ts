/** How numbers are spread. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly last: number;
}

export function spread(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), last: at(1) };
}
