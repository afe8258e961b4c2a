/** How evenly readers come back after a planned restart, as docs/faults.md has it. */

/** At most so much more than the average may come in one second. */
export const PEAK_TIMES = 1.25;
/** Of fewer, chance alone makes a second that has so many. */
const FEWEST = 200;

/** The window that so many readers are to be asked back in, in milliseconds from the loss of their connection. */
export function dueWindow(readers: number): readonly [min: number, max: number] {
  return [500, Math.min(Math.max(2_000, 2 * readers), 60_000)];
}

export interface Returns {
  /** Of the fullest second, and of all of the window that is due. */
  readonly peak: number;
  readonly average: number;
  readonly breaches: readonly string[];
}

/** @param times when each reader is to come back, in milliseconds, as it chose from what it was told */
export function judgeReturns(times: readonly number[]): Returns {
  const [min, max] = dueWindow(times.length);
  const average = times.length / ((max - min) / 1_000);
  const peak = fullestSecond(times);
  const most = PEAK_TIMES * average;
  const isUneven = times.length >= FEWEST && peak > most;
  return {
    peak,
    average,
    breaches: isUneven ? [`${peak} readers come back within a second, for ${Math.floor(most)} at most`] : [],
  };
}

/** Any second, not only whole ones of a clock. */
function fullestSecond(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let first = 0;
  let most = 0;
  sorted.forEach((time, index) => {
    while (sorted[first]! <= time - 1_000) first++;
    most = Math.max(most, index - first + 1);
  });
  return most;
}
