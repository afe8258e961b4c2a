/** What is sent to many readers, made once; and the answers of the log that many readers may share. */
import type { Since } from "../logs/log.ts";
import { type Cursor, encodeReset, encodeUpdate } from "../protocol.ts";
import type { Transport } from "./connection.ts";

/** A text, and what each transport's `encode` made of it. */
export interface Frames {
  readonly text: string;
  /** Where a reader is who has been sent it. */
  readonly cursor: Cursor;
  readonly isReset: boolean;
  /** A part of what was missed: there is more behind its cursor. */
  readonly more: boolean;
  readonly made: Map<Transport<unknown>, unknown>;
  /** Of several that leave together: each, in order. */
  readonly parts?: readonly Frames[];
}

export function newFrames(
  text: string,
  cursor: Cursor,
  kind: { isReset?: boolean; more?: boolean } = {},
): Frames {
  return { text, cursor, isReset: kind.isReset ?? false, more: kind.more ?? false, made: new Map() };
}

export function toFrames(answer: Since): Frames {
  if ("reset" in answer) return newFrames(encodeReset(answer.reset), answer.reset, { isReset: true });
  return newFrames(encodeUpdate(answer.entry), answer.entry.cursor, { more: answer.more });
}

/** Several in order, for readers that are at what comes before the first. */
export function joined(parts: readonly Frames[]): Frames {
  return { ...newFrames("", parts.at(-1)!.cursor), parts: [...parts] };
}

export function frameFor(frames: Frames, transport: Transport<unknown>): unknown {
  const { made, text, cursor, parts } = frames;
  let frame = made.get(transport);
  if (frame === undefined) {
    frame =
      parts && transport.join
        ? transport.join(parts.map((part) => frameFor(part, transport)))
        : transport.encode(text, cursor);
    made.set(transport, frame);
  }
  return frame;
}

/** Answers of the log to "since this cursor", for readers that missed the same. Holds a bounded number of bytes. */
export interface Answers {
  /** The answer for a cursor, asked for at most once while it is kept. */
  get(channel: object, cursor: Cursor, ask: () => Promise<Since>): Promise<Frames>;
  /** The channel has moved on: what is kept for it is old. */
  drop(channel: object): void;
}

export function keepAnswers(maxBytes: number): Answers {
  const channels = new Map<object, Map<Cursor, Promise<Frames>>>();
  /** Settled answers, oldest first. */
  const kept = new Map<Promise<Frames>, { bytes: number; forget: () => void }>();
  let total = 0;

  function release(answer: Promise<Frames>): void {
    const entry = kept.get(answer);
    if (!entry) return;
    kept.delete(answer);
    total -= entry.bytes;
  }

  return {
    get(channel, cursor, ask) {
      const answers = channels.get(channel) ?? new Map<Cursor, Promise<Frames>>();
      const known = answers.get(cursor);
      if (known) return known;
      const answer = ask().then(toFrames);
      channels.set(channel, answers.set(cursor, answer));
      const forget = () => {
        if (answers.get(cursor) === answer) answers.delete(cursor);
        if (answers.size === 0 && channels.get(channel) === answers) channels.delete(channel);
      };
      answer.then(({ text }) => {
        if (answers.get(cursor) !== answer) return;
        // A text, and the frame that is made of it.
        const bytes = 3 * text.length + 500;
        kept.set(answer, { bytes, forget });
        total += bytes;
        for (const [oldest, entry] of kept) {
          if (total <= maxBytes) break;
          release(oldest);
          entry.forget();
        }
      }, forget);
      return answer;
    },

    drop(channel) {
      for (const answer of channels.get(channel)?.values() ?? []) release(answer);
      // The map goes too: an answer still under way finds that it is no longer in it.
      channels.get(channel)?.clear();
      channels.delete(channel);
    },
  };
}
