import { TidingsError } from "../errors.ts";
import { type Cursor, type Draft, formatCursor } from "../protocol.ts";
import { beginEpoch, type EpochStart, newEpoch, resolveCursor } from "./history.ts";
import type { Log } from "./log.ts";
import { answerSince, applyDraft, fingerprint, type Register, toUpdate } from "./registers.ts";

/** Tombstones kept per channel; when more are, the oldest half goes and the floor rises. */
const MAX_TOMBSTONES = 2_000;
/** Idempotency keys kept per channel. */
const MAX_KEYS = 10_000;

interface Channel {
  epochs: EpochStart[];
  seq: number;
  lastAt: number;
  floor: number;
  tombstones: number;
  /** By post id, in the order of `seq`: a register that changes goes to the end. */
  registers: Map<string, Register>;
  /** The same in an array, to find a `seq` without a walk; holes are registers that have changed since. */
  order: (Register | undefined)[];
  keys: Map<string, { fingerprint: string; cursor: Cursor }>;
}

export interface MemoryLog extends Log {
  /** Begins a channel's history anew, in an epoch of its own: no cursor from before holds. Its head is given back. */
  renew(channel: string): Cursor;
  /** Lets go of a channel's history. */
  forget(channel: string): void;
}

export interface MemoryLogOptions {
  /** An update that changes nothing is one all the same: whoever publishes it again may know of somebody who missed it. */
  readonly keepsRepeats?: boolean;
}

/**
 * A log in this process's memory: for tests, and for channels whose readers can do with losing their history
 * at a restart (they `reset`).
 *
 * @example
 * const publisher = createPublisher({ log: memoryLog(), bus: memoryBus() });
 */
export function memoryLog(options: MemoryLogOptions = {}): MemoryLog {
  const channels = new Map<string, Channel>();
  const epochZero = newEpoch();
  const nothing = { epochs: [[epochZero, 0] as const], seq: 0, floor: 0 };
  let isClosed = false;

  function open(): void {
    if (isClosed) throw new TidingsError("closed", "the log has been closed", { where: "memory log" });
  }

  function channelOf(id: string): Channel {
    const channel = channels.get(id) ?? emptyChannel(beginEpoch(nothing.epochs, 1));
    channels.set(id, channel);
    return channel;
  }

  function head(id: string): Cursor {
    const { epochs, seq } = channels.get(id) ?? nothing;
    return formatCursor(epochs.at(-1)![0], seq);
  }

  function put(channel: Channel, register: Register): void {
    const known = channel.registers.get(register.id);
    if (known) {
      channel.order[indexAfter(channel.order, known.seq - 1, known)] = undefined;
      channel.registers.delete(register.id);
      if (known.removed) channel.tombstones--;
    }
    channel.registers.set(register.id, register);
    channel.order.push(register);
    if (register.removed) channel.tombstones++;
    if (channel.order.length > 2 * channel.registers.size + 16)
      channel.order = [...channel.registers.values()];
  }

  function purge(channel: Channel): void {
    if (channel.tombstones <= MAX_TOMBSTONES) return;
    for (const register of channel.registers.values()) {
      if (!register.removed) continue;
      channel.registers.delete(register.id);
      channel.floor = register.seq;
      if (--channel.tombstones <= MAX_TOMBSTONES / 2) break;
    }
    channel.order = [...channel.registers.values()];
  }

  return {
    async append(id: string, draft: Draft, { idempotencyKey } = {}) {
      open();
      const print = idempotencyKey === undefined ? "" : fingerprint(draft);
      const before = idempotencyKey === undefined ? undefined : channels.get(id)?.keys.get(idempotencyKey);
      if (before) {
        if (before.fingerprint === print) return { cursor: before.cursor };
        throw new TidingsError("key_reused", "the idempotency key was used for another update", {
          where: "memory log",
        });
      }
      const channel = channelOf(id);
      const { changed, lastAt } = applyDraft(draft, channel, (post) => channel.registers.get(post), options);
      if (changed.length > 0) {
        channel.seq++;
        channel.lastAt = lastAt;
        for (const register of changed) put(channel, register);
        purge(channel);
      }
      const cursor = head(id);
      if (idempotencyKey !== undefined) {
        channel.keys.set(idempotencyKey, { fingerprint: print, cursor });
        if (channel.keys.size > MAX_KEYS) channel.keys.delete(channel.keys.keys().next().value!);
      }
      return changed.length > 0 ? { ...toUpdate(changed), cursor } : { cursor };
    },

    async since(id, cursor) {
      open();
      const history = channels.get(id) ?? nothing;
      const seq = cursor === null ? -1 : resolveCursor(history, cursor);
      if (seq === null) return { reset: head(id) };
      const { order = [] } = history as Partial<Channel>;
      const missed = order.slice(indexAfter(order, seq)).filter((register) => register !== undefined);
      return answerSince(history, cursor === null ? missed.filter(({ removed }) => !removed) : missed);
    },

    renew(id) {
      channels.set(id, emptyChannel([[newEpoch(), 0]]));
      return head(id);
    },
    forget: (id) => void channels.delete(id),

    async heads(ids) {
      open();
      return ids.map(head);
    },

    async close() {
      isClosed = true;
      channels.clear();
    },
  };
}

function emptyChannel(epochs: EpochStart[]): Channel {
  return {
    epochs,
    seq: 0,
    lastAt: 0,
    floor: 0,
    tombstones: 0,
    registers: new Map(),
    order: [],
    keys: new Map(),
  };
}

/** Where the registers with a greater `seq` begin, or where `wanted` is, by halving; holes are stepped over. */
function indexAfter(order: readonly (Register | undefined)[], seq: number, wanted?: Register): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    let probe = middle;
    while (probe < high && order[probe] === undefined) probe++;
    const register = probe < high ? order[probe] : undefined;
    if (register === undefined || register.seq > seq) high = middle;
    else low = probe + 1;
  }
  if (wanted) while (order[low] !== wanted) low++;
  return low;
}
