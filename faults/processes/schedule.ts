/** Which fault when: all from a seed. */

import type { Random } from "../random.ts";
import { FAULTS } from "./faults.ts";

export interface PlannedFault {
  readonly name: string;
  /** Milliseconds after the one before it began. */
  readonly after: number;
  readonly lasts: number;
  /** Which server. */
  readonly server: number;
}

/** Faults begin so far apart at least, in milliseconds. */
export const APART_MS = 3_000;

/** @param isPossible whether this machine can do it */
export function plan(
  random: Random,
  count: number,
  servers: number,
  isPossible: (name: string) => boolean,
): PlannedFault[] {
  const deck: string[] = [];
  return Array.from({ length: count }, () => {
    // Each once before any comes twice.
    if (deck.length === 0) deck.push(...Object.keys(FAULTS).filter(isPossible));
    const [name] = deck.splice(random.integer(0, deck.length - 1), 1) as [string];
    const [min, max] = FAULTS[name]!.lasts;
    return {
      name,
      after: random.integer(APART_MS, APART_MS + 1_500),
      lasts: random.integer(min, max),
      server: random.integer(0, servers - 1),
    };
  });
}
