import type { Bus } from "../buses/bus.ts";
import { groupOf, type RedisPubSub } from "../buses/redis.ts";
import { TidingsError } from "../errors.ts";
import {
  type Announcement,
  type Cursor,
  type Draft,
  formatCursor,
  parseCursor,
  type Render,
} from "../protocol.ts";
import type { RedisAddress } from "../services/redis-client.ts";
import { isReply, redisLink, unavailable } from "../services/redis-link.ts";
import { type EpochStart, type History, newEpoch, resolveCursor } from "./history.ts";
import type { Log } from "./log.ts";
import { APPEND, HEADS, type Script, SINCE, ZERO } from "./redis-script.ts";
import { answerSince, fingerprint, type Register } from "./registers.ts";

export type RedisLogOptions = RedisAddress & {
  /** Before each key. Default `tidings:`. */
  readonly prefix?: string;
  /** Posts kept per channel, those removed too; when more are, the oldest go and cursors before them reset. Default 10,000. */
  readonly maxPosts?: number;
  /** How long a post is kept after its last change, and a channel after its last update. Default 7 days. */
  readonly maxAgeMs?: number;
  /** The bus, if it is on the same Redis: the script that appends then announces too, so that a crash cannot come between.
   *  `createPublisher` leaves it to the log. */
  readonly bus?: RedisPubSub;
  /** Told when the connection is lost, once until it is back. Default: `console.error`. */
  readonly onError?: (error: unknown, context: { stage: string }) => void;
};

const where = "redis log";
const DAY_MS = 86_400_000;
const KEYS_KEPT_MS = 2 * DAY_MS;
/** Channels in one script, so that it does not keep others waiting. */
const HEADS_AT_ONCE = 500;

/**
 * A log in Redis or Valkey, for channels whose content lives elsewhere: an append is one script, atomic, so that any
 * number of processes may publish. It uses one connection: yours, or one for the URL.
 *
 * It needs no persistence, for whatever makes Redis forget begins a new epoch and readers reset; a `maxmemory-policy`
 * other than `noeviction` makes that happen often.
 *
 * @param options.url `redis://[[user]:password@]host[:port][/database]`, `rediss://` for TLS: needs the package `redis`
 * @param options.client instead: a client of node-redis or ioredis, for one server or for a cluster; you connect and
 *   close it
 * @example
 * const bus = redisBus({ url });
 * const publisher = createPublisher({ log: redisLog({ url, bus }), bus });
 */
export function redisLog(options: RedisLogOptions): Log {
  const { prefix = "tidings:", maxPosts = 10_000, maxAgeMs = 7 * DAY_MS, bus } = options;
  const { onError = console.error } = options;
  const link = redisLink(options, where, { onError });
  const zeroKey = `${prefix}zero`;

  async function run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await link.send(keys[0]!, ["EVALSHA", script.sha, ...rest]).catch((error: unknown) => {
        if (!isReply(error, "NOSCRIPT")) throw error;
        return link.send(keys[0]!, ["EVAL", script.text, ...rest]);
      });
    } catch (error) {
      throw error instanceof TidingsError ? error : unavailable(where, error);
    }
  }

  /** What a channel that was never written to has for a history. */
  async function nothing(): Promise<History> {
    const names = (await run(ZERO, [zeroKey], [newEpoch(), String(maxAgeMs)])) as string[];
    const [zero, before] = names as [string, string];
    const epochs = [[before, 0] as const, [zero, 1] as const];
    return { epochs, seq: 0, floor: 0 };
  }

  async function append(channel: string, draft: Draft, idempotencyKey: string | undefined, zero?: History) {
    const { meta, posts, order, base } = keysOf(channel);
    const known = idempotencyKey === undefined ? meta : `${base}:key:${fingerprint(idempotencyKey)}`;
    const removals = new Set(draft.removals);
    const renders = [...draft.renders].filter(([id]) => !removals.has(id));
    const [before, present] = zero?.epochs ?? [];
    return run(
      APPEND,
      [known, meta, posts, order],
      [
        ...[newEpoch(), String(maxAgeMs), present?.[0] ?? "", before?.[0] ?? "", String(maxPosts)],
        ...[bus ? await bus.command() : "", groupOf(channel)],
        ...[idempotencyKey === undefined ? "" : fingerprint(draft), String(KEYS_KEPT_MS)],
        String(renders.length),
        ...renders.flatMap(([id, { show, content, version = "-" }]) => {
          return [id, show ? "s" : "h", String(version), content];
        }),
        ...removals,
      ],
    ) as Promise<AppendAnswer>;
  }

  function keysOf(channel: string) {
    // In a cluster the hash tag keeps a channel's keys together, where its Redis channel is too.
    const base = `${prefix}{${groupOf(channel)}}`;
    return { base, meta: `${base}:meta`, posts: `${base}:posts`, order: `${base}:order` };
  }

  return {
    ...(bus && { announcesOn: bus as Bus }),

    async append(channel, draft, { idempotencyKey } = {}) {
      let answer = await append(channel, draft, idempotencyKey);
      if (answer[0] === "unknown") answer = await append(channel, draft, idempotencyKey, await nothing());
      switch (answer[0]) {
        case "before": {
          const [, print, cursor] = answer;
          if (print === fingerprint(draft)) return { cursor };
          throw new TidingsError("key_reused", "the idempotency key was used for another update", { where });
        }
        case "same":
          return { cursor: answer[1] };
        case "done": {
          const announcement = toAnnouncement(draft, answer);
          // Refused inside the script: the bus tries by itself, and tells.
          if (bus && !answer[4]) void bus.publish(channel, announcement);
          return announcement;
        }
        default:
          throw new TidingsError("internal", "the script gave no answer", { where });
      }
    },

    async since(channel, cursor) {
      const { meta, posts, order } = keysOf(channel);
      const { epoch, seq } = cursor === null ? { epoch: "", seq: 0 } : (parseCursor(cursor) ?? NO_CURSOR);
      const answer = (await run(
        SINCE,
        [meta, posts, order],
        [newEpoch(), String(maxAgeMs), epoch, String(seq)],
      )) as SinceAnswer | null;
      const history = answer ? toHistory(answer) : await nothing();
      if (cursor !== null && resolveCursor(history, cursor) === null) {
        return { reset: formatCursor(history.epochs.at(-1)![0], history.seq) };
      }
      return answerSince(history, toRegisters(answer?.[3] ?? []));
    },

    async heads(channels) {
      const zero = nothing();
      zero.catch(() => {}); // awaited below
      const atOnce = (await link.isCluster()) ? 1 : HEADS_AT_ONCE;
      const asked: Promise<unknown>[] = [];
      for (let i = 0; i < channels.length; i += atOnce) {
        const keys = channels.slice(i, i + atOnce).flatMap((channel) => {
          const { meta, posts, order } = keysOf(channel);
          return [meta, posts, order];
        });
        asked.push(run(HEADS, keys, [newEpoch(), String(maxAgeMs)]));
      }
      const [{ epochs }, ...heads] = (await Promise.all([zero, ...asked])) as [History, ...string[][]];
      return heads.flat().map((head): Cursor => head || formatCursor(epochs.at(-1)![0], 0));
    },

    close: link.close,
  };
}

/** Of no epoch that is known: a cursor that is none is answered like one that does not hold. */
const NO_CURSOR = { epoch: "-", seq: 0 };

type AppendAnswer =
  | readonly ["unknown"]
  | readonly ["before", print: string, cursor: Cursor]
  | readonly ["same", cursor: Cursor]
  | Done;

type Done = readonly [
  "done",
  cursor: Cursor,
  places: readonly string[],
  removals: readonly string[],
  isAnnounced: 0 | 1,
];

type SinceAnswer = readonly [seq: string, floor: string, epochs: string, registers: readonly string[]];

function toAnnouncement(draft: Draft, [, cursor, places, removals]: Done): Announcement {
  const renders = new Map<string, Render>();
  for (let i = 0; i < places.length; i += 2) {
    const { show, content } = draft.renders.get(places[i]!)!;
    renders.set(places[i]!, { show, content, at: Number(places[i + 1]) });
  }
  return { renders, removals, cursor };
}

function toHistory([seq, floor, words]: SinceAnswer): History {
  const epochs: EpochStart[] = [];
  const list = words.split(" ");
  for (let i = 0; i < list.length; i += 2) epochs.push([list[i]!, Number(list[i + 1])]);
  return { epochs, seq: Number(seq), floor: Number(floor) };
}

function* toRegisters(list: readonly string[]): Generator<Register> {
  for (let i = 0; i < list.length; i += 2) {
    const packed = list[i + 1]!;
    const [header] = /^\d+ \d+ \w \S+ \d+ /.exec(packed)!;
    const [at, seq, kind, version] = header.split(" ") as [string, string, string, string];
    yield {
      id: list[i]!,
      at: Number(at),
      seq: Number(seq),
      show: kind === "s",
      content: packed.slice(header.length),
      version: version === "-" ? null : Number(version),
      removed: kind === "r",
    };
  }
}
