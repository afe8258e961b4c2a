/**
 * When readers that nothing keeps from it must show what was acknowledged. Only those on a connection that lasts: how soon
 * one who polls asks is its own affair.
 */
import type { Clock } from "./clock.ts";
import type { Line, Link, Process } from "./network.ts";
import { Broken } from "./truth.ts";

/** How a change becomes known: announced; found with the heads, every 5 s; or every second, for the bus is known to be down. */
export type Way = "told" | "heads" | "down";

/** Milliseconds from the acknowledgement, with a log that answers at once, and with one that takes its time (1.4 s at most). */
const WITHIN_MS: Readonly<Record<Way, { readonly fine: number; readonly slow: number }>> = {
  told: { fine: 2_000, slow: 4_000 },
  heads: { fine: 6_000, slow: 12_000 },
  down: { fine: 3_000, slow: 9_000 },
};
/** What hung or failed in a process has been given up by then, and what was reset has fetched its page. */
const OVER_MS = 15_000;
/** Who was given an old copy for the page that it needs has asked again by then: 30 s later at most. */
const ASKED_AGAIN_MS = 35_000;

export interface Timely {
  /** Everybody is owed what the page has become, known in this way. */
  moved(from: string, to: string, way: Way): void;
  /** Something happened to all, or to one process, from which they must first recover. */
  disturbed(process?: Process): void;
  /** Throws {@link Broken} when a reader that has shown the newest, and was not disturbed since, is late. */
  look(line: Line, text: string, newest: string): void;
}

export function timely(clock: Clock): Timely {
  /** By what a page was: when it became something else, and how. */
  const left = new Map<string, { readonly at: number; readonly way: Way }>();
  const quietFrom = new Map<Process | undefined, number>();
  /** The connection over which a reader has shown the newest. */
  const settled = new Map<Line, Link>();

  function mayBeLate(link: Link): boolean {
    const { process } = link;
    if (!process?.isUp || (process.mood !== "fine" && process.mood !== "slow")) return true;
    return [process, undefined].some((each) => clock.now() < (quietFrom.get(each) ?? 0));
  }

  return {
    moved(from, to, way) {
      left.set(from, { at: clock.now(), way });
      left.delete(to);
    },

    disturbed(process) {
      quietFrom.set(process, clock.now() + OVER_MS);
    },

    look(line, text, newest) {
      const link = [...line.links].find((each) => each.process && !each.isDead);
      const waits = clock.now() < line.copyAt + ASKED_AGAIN_MS;
      if (!link || line.state !== "up" || waits || mayBeLate(link)) settled.delete(line);
      else if (text === newest) settled.set(line, link);
      else if (settled.get(line) !== link) settled.delete(line);
      else {
        const { at, way } = left.get(text) ?? { at: clock.now(), way: "told" };
        const late = clock.now() - at;
        if (late > WITHIN_MS[way][link.process!.mood as "fine" | "slow"]) {
          throw new Broken(
            `${line.name} shows [${text}] ${late} ms after it became [${newest}] or what was before it`,
          );
        }
      }
    },
  };
}
