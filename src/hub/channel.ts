/** The hub's state: of a page, and of each of its readers. */
import type { Unsubscribe } from "../buses/bus.ts";
import { type Cursor, type CursorParts, encodeHeartbeat, formatCursor, parseCursor } from "../protocol.ts";
import type { Connection, Reader, Transport } from "./connection.ts";
import { type Frames, newFrames } from "./frames.ts";
import type { Rounds } from "./rounds.ts";
import type { Steps } from "./steps.ts";

/**
 * A reader whose socket holds more than this is left to catch up when it has drained: the system holds as much and more
 * by then, and each update that waits behind it costs the process about 50 bytes, however many share its frame. Node tells
 * of no drain below 64 kB: whoever lags with less is seen with the other laggards.
 */
const MAX_BUFFERED_BYTES = 16 * 1024;
/** What a reader may say in one window; more closes with 1008, a larger message with 1009. */
const MAX_MESSAGES = 60;
const MESSAGES_WINDOW_MS = 30_000;
const MAX_MESSAGE_BYTES = 4096;
/** Ends the window of one that was closed for it: what still comes of a flood is not to close it again. */
const TOO_MUCH = Number.POSITIVE_INFINITY;

export interface Channel {
  readonly id: string;
  head: Cursor;
  at: CursorParts;
  /** Readers at the head, by how frames travel to them: what they have been sent is the channel's, not theirs. None is empty. */
  readonly current: Map<Transport<unknown>, Current>;
  /** Readers that are behind, each with a cursor. */
  readonly lagging: Set<Member>;
  /** Admitted, not open yet. */
  entering: number;
  /** Nobody can be let in any more: a newcomer gets a new one. */
  isLeft: boolean;
  /** The bus brings its announcements. */
  isSubscribed: boolean;
  unsubscribe: Unsubscribe | null;
  /** The head is known. */
  ready: Promise<void>;
  /** Lets nobody wait for it any longer. */
  giveUp: (why: Error) => void;
  /** The log is being asked for what the head misses; `again` when there was reason to ask once more. */
  refreshing: boolean;
  again: boolean;
  /** Updates in order after the head, that this turn of the event loop has brought: sent together at its end. */
  readonly due: Frames[];
  /** What falls due earlier waits until then, by `performance.now()`. */
  restsUntil: number;
  lastFrame: number;
  /** A reader came with a cursor that this page's present history has given out. */
  isReturnedTo: boolean;
  readonly rounds: Rounds;
  readonly steps: Steps;
  /** The log failed: it is not asked before then. */
  quietUntil: number;
  /** It is to be asked then. */
  isQuiet: boolean;
}

export type Current = Map<Connection, Member>;

/** What the hub does when a reader's connection changes. */
export interface MemberEvents {
  drained(member: Member): void;
  closed(member: Member): void;
}

/** A class, for there is one for each reader, which most of the time only costs memory: its methods are shared. */
export class Member implements Reader {
  readonly channel: Channel;
  readonly address: string | undefined;
  readonly transport: Transport<unknown>;
  readonly #events: MemberEvents;
  connection: Connection | null = null;
  /** Where a reader that lags is; `null` for those at the channel's head. */
  cursor: Cursor | null = null;
  /** Nothing was sent yet to one that is to be greeted. */
  isGreeted: boolean;
  /** Asks the log, or waits for it. */
  busy = false;
  messages = 0;
  windowEnds = 0;
  gone = false;
  /** Its connection is being closed: it is sent nothing any more. */
  isAway = false;

  constructor(
    events: MemberEvents,
    channel: Channel,
    address: string | undefined,
    transport: Transport<unknown>,
  ) {
    this.#events = events;
    this.channel = channel;
    this.address = address;
    this.transport = transport;
    this.isGreeted = !transport.greets;
  }

  /** A reader has nothing to say; it may say it a little. */
  message(bytes: number): void {
    if (this.gone || this.windowEnds === TOO_MUCH) return;
    const now = performance.now();
    if (now > this.windowEnds) {
      this.windowEnds = now + MESSAGES_WINDOW_MS;
      this.messages = 0;
    }
    if (bytes > MAX_MESSAGE_BYTES) this.#saidTooMuch(1009, "message too big");
    else if (++this.messages > MAX_MESSAGES) this.#saidTooMuch(1008, "too many messages");
  }

  #saidTooMuch(code: number, reason: string): void {
    this.windowEnds = TOO_MUCH;
    this.isAway = true;
    leave(this);
    this.connection!.close(code, reason);
  }

  drained(): void {
    this.#events.drained(this);
  }

  closed(): void {
    this.#events.closed(this);
  }
}

export function newChannel(id: string, rounds: Rounds, steps: Steps): Channel {
  return {
    id,
    head: "",
    at: { epoch: "", seq: -1 },
    current: new Map(),
    lagging: new Set(),
    entering: 0,
    isLeft: false,
    isSubscribed: false,
    unsubscribe: null,
    ready: Promise.resolve(),
    giveUp: () => {},
    refreshing: false,
    again: false,
    due: [],
    restsUntil: 0,
    lastFrame: performance.now(),
    isReturnedTo: false,
    rounds,
    steps,
    quietUntil: 0,
    isQuiet: false,
  };
}

/** What readers at the head have been sent. */
export function setHead(channel: Channel, head: Cursor): void {
  channel.head = head;
  channel.at = parseCursor(head)!;
}

export function isIdle({ current, lagging, entering }: Channel): boolean {
  return current.size + lagging.size + entering === 0;
}

/** Whether a cursor is one that this page's present history has given out; its epoch is a name that nobody guesses. */
export function isOf({ at }: Channel, cursor: string | null | undefined): boolean {
  const parts = parseCursor(cursor);
  return parts !== null && parts.epoch === at.epoch && parts.seq <= at.seq;
}

export function isBehind(cursor: Cursor, { at }: Channel): boolean {
  const parts = parseCursor(cursor);
  return parts !== null && parts.epoch === at.epoch && parts.seq < at.seq;
}

export function beginningOf(cursor: Cursor): Cursor {
  return formatCursor(parseCursor(cursor)!.epoch, 0);
}

/** Moves nobody who is at the cursor. */
export function heartbeatAt(cursor: Cursor): Frames {
  return newFrames(encodeHeartbeat(cursor), cursor);
}

/** Its socket holds so much that nothing more is to be written to it. */
export function isFull(connection: Connection): boolean {
  return connection.bufferedAmount > MAX_BUFFERED_BYTES;
}

/** From now on it is sent what all readers at the head are sent. */
export function keepUp(member: Member): void {
  const { channel, connection, transport } = member;
  member.cursor = null;
  channel.lagging.delete(member);
  const current = channel.current.get(transport);
  if (current) current.set(connection!, member);
  else channel.current.set(transport, new Map([[connection!, member]]));
  transport.topics?.subscribe(connection!, channel.id);
}

/** From now on it is told what it missed, from `cursor` on. */
export function fallBehind(member: Member, cursor: Cursor): void {
  const { channel, connection, transport } = member;
  transport.topics?.unsubscribe(connection!, channel.id);
  if (member.gone) return;
  leave(member);
  member.cursor = cursor;
  channel.lagging.add(member);
}

/** From now on it is sent nothing. */
export function leave(member: Member): void {
  const { channel, connection, transport } = member;
  channel.lagging.delete(member);
  const current = channel.current.get(transport);
  if (!connection || current?.get(connection) !== member) return;
  current.delete(connection);
  if (current.size === 0) channel.current.delete(transport);
}

/** All that have entered. */
export function membersOf({ current, lagging }: Channel): Member[] {
  return [...[...current.values()].flatMap((members) => [...members.values()]), ...lagging];
}
