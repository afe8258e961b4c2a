/** What is sent to many readers, made once. */
import type { Since } from "../logs/log.ts";
import { type Cursor, type Entry, encodeReset, encodeUpdate, type Update } from "../protocol.ts";
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
  /** What the text says, where that is an update. */
  readonly update?: Update | undefined;
  /** Of several that leave together: each, in order. */
  readonly parts?: readonly Frames[];
}

export function newFrames(
  text: string,
  cursor: Cursor,
  { isReset = false, more = false, update }: Partial<Pick<Frames, "isReset" | "more" | "update">> = {},
): Frames {
  return { text, cursor, isReset, more, update, made: new Map() };
}

export function framesOf(entry: Entry, more = false): Frames {
  return newFrames(encodeUpdate(entry), entry.cursor, { more, update: entry });
}

export function toFrames(answer: Since): Frames {
  if ("reset" in answer) return newFrames(encodeReset(answer.reset), answer.reset, { isReset: true });
  return framesOf(answer.entry, answer.more);
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
