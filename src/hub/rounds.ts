/**
 * Readers that poll are answered in rounds: who asks in one gets the answer that others of the round got, or waits for
 * the next. So they come to the same few cursors, and a cache in front asks for those alone, however many they are.
 */
import type { Cursor } from "../protocol.ts";
import type { Frames } from "./frames.ts";

const ROUND_MS = 1_000;

/** The rounds of one page. */
export interface Rounds {
  /** The answer for a cursor: at once for the first that asks in a round, and for who asks the same as another. */
  ask(cursor: Cursor, answer: () => Promise<Frames>): Promise<Frames>;
}

interface Round {
  readonly starts: number;
  readonly started: Promise<void>;
  readonly answers: Map<Cursor, Promise<Frames>>;
  kept: number;
  isOver: boolean;
}

/**
 * Makes the rounds of pages, which keep a bounded number of characters in all, each for its second. Who asks for an answer
 * that was not kept waits for the next round.
 *
 * @example
 * const roundsOf = boundedRounds(16_000_000);
 * const frames = await roundsOf().ask("e.1", () => missed("e.1"));
 */
export function boundedRounds(maxKept: number): () => Rounds {
  let total = 0;

  function keep(round: Round, cursor: Cursor, { text }: Frames): void {
    if (round.isOver || total + text.length > maxKept) round.answers.delete(cursor);
    else {
      round.kept += text.length;
      total += text.length;
    }
  }

  function end(round: Round): void {
    round.isOver = true;
    round.answers.clear();
    total -= round.kept;
  }

  return () => {
    let round: Round | undefined;
    let next: Round | undefined;

    function newRound(starts: number, started: Promise<void>): Round {
      const made: Round = { starts, started, answers: new Map(), kept: 0, isOver: false };
      setTimeout(end, starts + ROUND_MS - performance.now(), made).unref();
      return made;
    }

    function roundFor(cursor: Cursor): Round {
      const now = performance.now();
      if (next && now >= next.starts) [round, next] = [next, undefined];
      if (!round || round.isOver || now >= round.starts + ROUND_MS) {
        round = newRound(now, Promise.resolve());
        return round;
      }
      if (round.answers.has(cursor)) return round;
      const starts = round.starts + ROUND_MS;
      next ??= newRound(starts, sleep(starts - now));
      return next;
    }

    return {
      ask(cursor, answer) {
        const own = roundFor(cursor);
        const { started, answers } = own;
        const known = answers.get(cursor);
        if (known) return known;
        const asked = started.then(answer);
        answers.set(cursor, asked);
        asked.then(
          (frames) => keep(own, cursor, frames),
          () => answers.delete(cursor),
        );
        return asked;
      },
    };
  };
}

/** One timer for all that wait for a round. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
