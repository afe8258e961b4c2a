import { randomBytes } from "node:crypto";
import { type Cursor, type CursorParts, formatCursor, parseCursor } from "../protocol.ts";

/** How many epochs of a page are remembered. */
export const EPOCHS_KEPT = 64;

/** Where an epoch began: the first `seq` it gave out. */
export type EpochStart = readonly [epoch: string, first: number];

/** What a log knows of one page's past. */
export interface History {
  /** Oldest first; the last is the present one. Never empty. */
  readonly epochs: readonly EpochStart[];
  /** The newest update's number. */
  readonly seq: number;
  /** Cursors below it are answered with `reset`: what they would need has been purged. */
  readonly floor: number;
}

/** The newest cursor. */
export function headOf({ epochs, seq }: Pick<History, "epochs" | "seq">): Cursor {
  return formatCursor(epochs.at(-1)![0], seq);
}

/** A new epoch's name: 12 characters, 72 random bits. */
export function newEpoch(): string {
  return randomBytes(9).toString("base64url");
}

/** The epochs with another one begun at `first`, the oldest forgotten. */
export function beginEpoch(
  epochs: readonly EpochStart[],
  first: number,
  name: string = newEpoch(),
): EpochStart[] {
  return [...epochs, [name, first] as const].slice(-EPOCHS_KEPT);
}

/**
 * The number that `cursor` stands for, or `null` if it does not hold (PROTOCOL.md, "Cursors"): of an unknown
 * epoch, beyond its epoch's end, or below the floor.
 */
export function resolveCursor(history: History, cursor: string | CursorParts): number | null {
  const parts = typeof cursor === "string" ? parseCursor(cursor) : cursor;
  if (!parts || parts.seq < history.floor) return null;
  const index = history.epochs.findLastIndex(([epoch]) => epoch === parts.epoch);
  if (index < 0) return null;
  const next = history.epochs[index + 1];
  const end = next === undefined ? history.seq : next[1] - 1;
  return parts.seq <= end ? parts.seq : null;
}
