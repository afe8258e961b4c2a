/** How long a reader is waited for that gives no sign of life, or was told to go. */

/** How often readers are looked at. */
export const LOOKED_AT_MS = 30_000;
/** So many looks in a row, and at most: by then the system, too, has given up on who does not answer it. */
const LEAST = 2;
const MOST = 30;
/** What the slowest network that is waited for takes from one look to the next: 8 kB a second. */
const BYTES_PER_LOOK = 240_000;

/**
 * For how many looks a reader may give no sign of life. A sign comes behind the bytes that are on the way to it, and of
 * those only the system knows how many have arrived: who reads slowly, but all the time, is given the time for them.
 */
export function patienceFor(bytesOnTheWay: number): number {
  return Math.min(LEAST + Math.round(bytesOnTheWay / BYTES_PER_LOOK), MOST);
}

/** Codes that close who has sent too much: it may well go on, and never answer the close. */
export const EXPELS: ReadonlySet<number> = new Set([1008, 1009]);
/** How long it has to read the code. */
export const EXPELLED_MS = 1_000;
