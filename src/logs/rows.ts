/** What logs in databases share: a channel and its registers as rows, and how long things are kept. */
import type { EpochStart, History } from "./history.ts";
import type { Register } from "./registers.ts";

/** As a database gives it: `seq` may be a number or its digits, `show` a boolean or 0 and 1. */
export type Row = Record<string, unknown>;

const DAY = 86_400_000;
/** How long tombstones are kept: a reader away for longer resets. */
export const TOMBSTONES_KEPT_MS: number = 30 * DAY;
export const KEYS_KEPT_MS: number = 2 * DAY;
const PURGED_EVERY_MS = DAY / 4;

/** A channel's row. `id` is the key in the database, not the channel id. */
export interface Channel extends History {
  readonly id: number;
  readonly lastAt: number;
  /** What began the present epoch: a process, a server's start. */
  readonly run: string;
}

/** What is to be done once per idempotency key; without a key it is done each time. */
export interface OnceRequest {
  /** Its keys go when the channel is forgotten. */
  readonly channel: string;
  readonly action: string;
  readonly key: string | undefined;
  /** What tells this request from another; asked for only when there is a key. */
  readonly body: () => unknown;
}

export function toChannel(row: Row): Channel {
  return {
    id: Number(row.id),
    run: row.run as string,
    epochs: JSON.parse(row.epochs as string) as EpochStart[],
    seq: Number(row.seq),
    lastAt: Number(row.last_at),
    floor: Number(row.floor),
  };
}

export function toRegister(row: Row): Register {
  return {
    id: row.id as string,
    at: Number(row.at),
    seq: Number(row.seq),
    show: Boolean(row.show),
    content: row.content as string,
    version: row.version === null ? null : Number(row.version),
    removed: Boolean(row.removed),
  };
}

/** Drops what is past its time, now and every six hours. Returns what ends it; of a purge cut off by then nobody is told. */
export function keepPurged(
  purge: (now: number) => Promise<unknown>,
  onError: (error: unknown, context: { stage: string }) => void = () => {},
): () => void {
  let isEnded = false;
  const run = () => {
    purge(Date.now()).catch((error) => {
      if (!isEnded) onError(error, { stage: "purge" });
    });
  };
  run();
  const timer = setInterval(run, PURGED_EVERY_MS).unref();
  return () => {
    isEnded = true;
    clearInterval(timer);
  };
}
