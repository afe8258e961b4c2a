/** Every post is a register: how an update changes the registers of a channel, and how they answer "since". */
import { createHash } from "node:crypto";
import { type Draft, formatCursor, inPlace, type Render } from "../protocol.ts";
import type { History } from "./history.ts";
import { MAX_SINCE_BYTES, type Since } from "./log.ts";

/** The newest version of a post, or its tombstone. */
export interface Register {
  readonly id: string;
  readonly at: number;
  /** The number of the update that last changed it. */
  readonly seq: number;
  readonly show: boolean;
  readonly content: string;
  /** What the publisher called this version, if it did. */
  readonly version: number | null;
  readonly removed: boolean;
}

/** The counters of a channel. */
export interface Counters {
  readonly seq: number;
  /** The newest place given. */
  readonly lastAt: number;
}

/**
 * The registers that a draft changes, in their places, all with the next number; none when nothing changes.
 * `find` gives a post's register as it is; with `keepsRepeats` what is so already
 * changes, too.
 */
export function applyDraft(
  draft: Draft,
  counters: Counters,
  find: (id: string) => Register | undefined,
  { keepsRepeats = false }: { readonly keepsRepeats?: boolean } = {},
): { readonly changed: readonly Register[]; readonly lastAt: number } {
  const seq = counters.seq + 1;
  let lastAt = counters.lastAt;
  const changed: Register[] = [];
  const removals = new Set(draft.removals);
  for (const [id, { show, content, version = null }] of draft.renders) {
    if (removals.has(id)) continue;
    const known = find(id);
    const older = version !== null && known?.version != null && version < known.version;
    const same =
      known &&
      !known.removed &&
      known.show === show &&
      known.content === content &&
      known.version === version;
    if (older || (same && !keepsRepeats)) continue;
    const at = known && !known.removed ? known.at : ++lastAt;
    changed.push({ id, at, seq, show, content, version: version ?? known?.version ?? null, removed: false });
  }
  for (const id of removals) {
    const known = find(id);
    if (known?.removed && !keepsRepeats) continue;
    const { at = 0, version = null } = known ?? {};
    changed.push({ id, at, seq, show: false, content: "", version, removed: true });
  }
  return { changed, lastAt };
}

/** What readers are told of changed registers. */
export function toUpdate(registers: Iterable<Register>): {
  renders: ReadonlyMap<string, Render>;
  removals: string[];
} {
  const renders = new Map<string, Render>();
  const removals: string[] = [];
  for (const { id, removed, show, content, at } of registers) {
    if (removed) removals.push(id);
    else renders.set(id, { show, content, at });
  }
  return { renders: inPlace(renders), removals };
}

/** Compacts `registers`, the ones a reader has not seen in the order of their `seq`, to one answer. */
export function answerSince(history: History, registers: Iterable<Register>): Since {
  const taken: Register[] = [];
  let bytes = 0;
  let seq = history.seq;
  let more = false;
  for (const register of registers) {
    const last = taken.at(-1);
    const size = Buffer.byteLength(register.content);
    // A cut may only fall between two updates: a cursor says that all up to it is known. And not below the floor, where
    // who asks from the beginning passes: that cursor would not hold.
    const mayCut = last && last.seq !== register.seq && last.seq >= history.floor;
    if (mayCut && bytes + size > MAX_SINCE_BYTES) {
      seq = last.seq;
      more = true;
      break;
    }
    bytes += size;
    taken.push(register);
  }
  return { entry: { ...toUpdate(taken), cursor: formatCursor(history.epochs.at(-1)![0], seq) }, more };
}

/** Tells one request from another under the same idempotency key. */
export function fingerprint(request: unknown): string {
  const plain = (_key: string, value: unknown) => (value instanceof Map ? [...value] : value);
  return createHash("sha256").update(JSON.stringify(request, plain)).digest("base64");
}
