/**
 * How long to wait before an attempt, in milliseconds: full jitter, drawn evenly from 0 to
 * `min(30 s, 0.5 s × 2^attempt)` (PROTOCOL.md, rule 3), so that readers cut off together do not return together.
 *
 * @param attempt 0 for the first.
 * @param random Gives numbers from 0 to 1, as `Math.random` does.
 * @example
 * backoff(0); // 0–500
 * backoff(20); // 0–30000
 */
export function backoff(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(30_000, 500 * 2 ** attempt);
}
