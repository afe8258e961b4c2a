/** Asks the log, which holds nobody up for long, and is left in peace for a moment when it fails. */
import { TidingsError } from "../errors.ts";
import type { Log } from "../logs/log.ts";
import type { Cursor } from "../protocol.ts";
import { within } from "../within.ts";
import type { Channel } from "./channel.ts";
import { type Frames, toFrames } from "./frames.ts";

/** A log that has not answered by then is taken for one that failed. */
const LOG_ANSWERS_MS = 10_000;
export const LOG_QUIET_MS = 1_000;

/** Told of what went wrong while nobody waited for an answer. */
export type OnError = (error: unknown, context: { stage: string; channel?: string }) => void;

/** The log, asked. Rejects with what the log does, or with `unavailable` when that takes too long. */
export interface Asking {
  since(channel: Channel, cursor: Cursor): Promise<Frames>;
  heads(ids: readonly string[]): Promise<Cursor[]>;
  /** It could not tell of a page: that is reported once a second, and the page is asked for no more often. */
  failed(channel: Channel, error: unknown, stage: string): void;
}

/** Whether the log has just failed for a page, so that it is not to be asked for it. */
export function hasJustFailed({ quietUntil }: Channel): boolean {
  return performance.now() < quietUntil;
}

export function askingLog(log: Log, onError: OnError): Asking {
  return {
    since: async (channel, cursor) => toFrames(await inTime(log.since(channel.id, cursor))),
    heads: (ids) => inTime(log.heads(ids)),

    failed(channel, error, stage) {
      if (hasJustFailed(channel)) return;
      channel.quietUntil = performance.now() + LOG_QUIET_MS;
      onError(error, { stage, channel: channel.id });
    },
  };
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const first = await within(
    LOG_ANSWERS_MS,
    answer.then((value) => ({ value })),
  );
  if (first) return first.value;
  throw new TidingsError("unavailable", `the log has not answered for ${LOG_ANSWERS_MS} ms`, {
    where: "hub",
  });
}
