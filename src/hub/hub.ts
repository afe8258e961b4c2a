import type { Bus, BusStatus, Unsubscribe } from "../buses/bus.ts";
import { TidingsError } from "../errors.ts";
import type { Log } from "../logs/log.ts";
import {
  type Announcement,
  type Cursor,
  type CursorParts,
  encodeHeartbeat,
  encodeRetry,
  formatCursor,
  isId,
  parseCursor,
} from "../protocol.ts";
import { within } from "../within.ts";
import type {
  Admission,
  Admitted,
  Connection,
  Polled,
  Question,
  Reader,
  Refusal,
  Transport,
} from "./connection.ts";
import { type Frames, frameFor, framesOf, joined, newFrames, toFrames } from "./frames.ts";
import { idlePages } from "./idle.ts";
import { isAllowedOrigin, type Origins } from "./origins.ts";
import { atMost, boundedRounds, type Rounds } from "./rounds.ts";
import { boundedSteps, type Steps } from "./steps.ts";

/** A reader whose socket holds more than this is left to catch up when it has drained. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** How often readers that lag, and whose adapter tells of no drain, are looked at. */
const LAGGARDS_LOOKED_AT_MS = 250;
const HEADS_ASKED_MS = { up: 5_000, down: 1_000 } as const;
/** A log that has not answered by then is taken for one that failed. */
const LOG_ANSWERS_MS = 10_000;
const LOG_QUIET_MS = 1_000;
/** How long a page's first reader waits for the bus; then the log will do. */
const BUS_WAITED_FOR_MS = 1_000;
/** How long the end waits for the bus to let go of pages. */
const UNSUBSCRIBED_MS = 500;
/** How soon a subscription that failed is tried again: at first, and at last. */
const SUBSCRIBE_AGAIN_MS = 1_000;
const MAX_SUBSCRIBE_AGAIN_MS = 30_000;
const ASKED_WHILE_DEAF_MS = 1_000;
const REFUSAL_TOLD_MS = 60_000;
/** What is kept of all pages' updates, for readers that are behind. */
const MAX_STEPS_BYTES = 16_000_000;
/** The same for readers that poll, in characters. */
const MAX_ROUNDS_KEPT = 16_000_000;
/** The longest that an update waits for others, to be written with them. */
const MAX_REST_MS = 5;
const HEARTBEAT_MS = 25_000;
const BEATS_LOOKED_AT_MS = 1_000;
const MAX_CURSOR_LENGTH = 128;
const UNREADABLE = "the history cannot be read now";
const RESTARTING = "restarting";
/** What a reader may say in one window; more closes with 1008, a larger message with 1009. */
const MAX_MESSAGES = 60;
const MESSAGES_WINDOW_MS = 30_000;
const MAX_MESSAGE_BYTES = 4096;
/** How many readers should come back each second after a restart. */
const RETURNS_PER_SECOND = 500;
/** Channels without readers that are kept subscribed: so many of those that a reader came back to, and so many others. */
const MAX_IDLE_CHANNELS = 1_000;
/** Subscriptions that may wait for a bus that is away, before polls of pages that nobody reads are refused. */
const MAX_SUBSCRIBING = 1_000;
/** Questions of polling readers that the log answers at a time. */
const MAX_POLLS_ASKED = 16;
/** A channel without readers is kept subscribed for this long, for the one who reloads. */
const CHANNEL_KEPT_MS = 10_000;

export interface HubOptions {
  readonly log: Log;
  readonly bus: Bus;
  /** Whose pages may open connections. Default `["own"]`: those of the host asked. */
  readonly origins?: Origins;
  /** Connections at a time from one address; 0, the default, is no limit. */
  readonly maxConnectionsPerAddress?: number;
  /** Told of what went wrong while nobody waited for an answer. Default: `console.error`. */
  readonly onError?: (error: unknown, context: { stage: string; channel?: string }) => void;
}

/** What happened since the start, and what is now. Plain counts, for metrics. */
export interface HubStats {
  readonly channels: number;
  readonly readers: number;
  /** Readers that have not taken what was sent to them, or are still being told what they missed. */
  readonly lagging: number;
  readonly admitted: number;
  readonly refused: number;
  /** Answers to readers that ask now and then. */
  readonly polls: number;
  /** Frames written to readers, of any kind. */
  readonly frames: number;
  /** Updates announced by the bus that reached readers. */
  readonly updates: number;
  /** Answers to "what did I miss", by what they came to. */
  readonly catchUps: number;
  readonly resets: number;
  /** Times that the bus brought less than the log had. */
  readonly gaps: number;
}

/** Who reads which page, and what each has been sent. */
export interface Hub {
  /**
   * A reader asks to enter. Resolves with a refusal, or with a place from which nothing published is missed:
   * `open` it when the upgrade is answered, `cancel` it when that failed.
   *
   * @example
   * const answer = await hub.admit({ channel: "finals", cursor, origin, host, address, encode });
   * if ("status" in answer) return refuse(answer.status, answer.reason);
   * const reader = answer.open({ send, close, get bufferedAmount() { return socket.writableLength; } });
   */
  admit<F>(admission: Admission<F>): Promise<Admitted<F> | Refusal>;
  /**
   * What came after a reader's cursor, for one that asks now and then; without a cursor, where the page is now. Those
   * at one cursor share an answer. Who lags waits for its page's next round (at most a second) if it is not the first.
   *
   * @example
   * const answer = await hub.poll({ channel: "finals", cursor });
   * if ("status" in answer) return refuse(answer.status, answer.reason);
   * response.end(answer.text);
   */
  poll(question: Question): Promise<Polled | Refusal>;
  /** Whose pages may read. */
  readonly origins: Origins;
  stats(): HubStats;
  /** Whether the bus listens; while it does not, the log is asked every second. */
  busStatus(): "up" | "down";
  /**
   * Refuses newcomers, tells all readers to come back after a random time in the window, and closes them (1012).
   * Resolves when they have left or `drainMs` are over. Log and bus are left to their owner.
   */
  close(options?: CloseOptions): Promise<void>;
}

export interface CloseOptions {
  /** Default: wide enough that about 500 readers come back each second; at most a minute. */
  readonly retry?: RetryWindow;
  /** Default 5,000. */
  readonly drainMs?: number;
}

export type RetryWindow = readonly [minMs: number, maxMs: number];

/** What the hub does when a reader says something. */
interface Hears {
  message(member: Member, bytes: number): void;
  drained(member: Member): void;
  closed(member: Member): void;
}

/** A class, for there is one for each reader, which most of the time only costs memory: its methods are shared. */
class Member implements Reader {
  readonly channel: Channel;
  readonly address: string | undefined;
  readonly transport: Transport<unknown>;
  readonly #hub: Hears;
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
  /** Told to come back later: it is sent nothing any more. */
  isAway = false;

  constructor(hub: Hears, channel: Channel, address: string | undefined, transport: Transport<unknown>) {
    this.#hub = hub;
    this.channel = channel;
    this.address = address;
    this.transport = transport;
    this.isGreeted = !transport.greets;
  }

  message(bytes: number): void {
    this.#hub.message(this, bytes);
  }

  drained(): void {
    this.#hub.drained(this);
  }

  closed(): void {
    this.#hub.closed(this);
  }
}

interface Channel {
  readonly id: string;
  head: Cursor;
  at: CursorParts;
  /** Readers at the head: what they have been sent is the channel's, not theirs. */
  readonly current: Set<Member>;
  /** Readers that are behind, each with a cursor. */
  readonly lagging: Set<Member>;
  /** Admitted, not open yet. */
  entering: number;
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

/**
 * Makes the hub of this process.
 *
 * @example
 * const hub = createHub({ log, bus });
 * attachWebSocket(server, hub);
 */
export function createHub({
  log,
  bus,
  origins = ["own"],
  maxConnectionsPerAddress = 0,
  onError = (error, context) => console.error(error, context),
}: HubOptions): Hub {
  const channels = new Map<string, Channel>();
  const addresses = new Map<string, number>();
  /** Subscriptions that the bus has not answered yet. */
  let subscribing = 0;
  const stepsOf = boundedSteps(MAX_STEPS_BYTES);
  const roundsOf = boundedRounds(MAX_ROUNDS_KEPT);
  const polls = atMost(MAX_POLLS_ASKED);
  /** Whoever asks for pages that nobody reads cannot make this process listen to them all. */
  const idle = idlePages<Channel>({
    most: MAX_IDLE_CHANNELS,
    keptMs: CHANNEL_KEPT_MS,
    letGo: (channel) => void leave(channel),
  });
  const counts = {
    admitted: 0,
    refused: 0,
    polls: 0,
    frames: 0,
    updates: 0,
    catchUps: 0,
    resets: 0,
    gaps: 0,
    readers: 0,
  };
  let busStatus: BusStatus = "up";
  /** Pages that the bus would not subscribe to. */
  const refused = new Set<Channel>();
  let joinFailureQuietUntil = 0;
  let lastRefusal = { text: "", at: 0 };
  let isClosing = false;
  /** What readers are told at the end, also those who were being let in. */
  let lastWords: Frames | undefined;

  /** The log's answer, or `unavailable` when it takes too long: what waits for it must go on. */
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

  /** A log that fails is reported once a second and page, and asked no more often. */
  function logFailed(channel: Channel, error: unknown, stage: string): void {
    const now = performance.now();
    if (now < channel.quietUntil) return;
    channel.quietUntil = now + LOG_QUIET_MS;
    onError(error, { stage, channel: channel.id });
  }

  /** While no page can be read, newcomers come fast: one report a second is enough. */
  function joinFailed({ id }: Channel, error: unknown): void {
    const now = performance.now();
    if (now < joinFailureQuietUntil) return;
    joinFailureQuietUntil = now + LOG_QUIET_MS;
    onError(error, { stage: "join", channel: id });
  }

  // --- channels ------------------------------------------------------------------------------------------

  function channelOf(id: string): Channel {
    const known = channels.get(id);
    if (known) return known;
    const channel: Channel = {
      id,
      head: "",
      at: { epoch: "", seq: -1 },
      current: new Set(),
      lagging: new Set(),
      entering: 0,
      isSubscribed: false,
      unsubscribe: null,
      ready: Promise.resolve(),
      refreshing: false,
      again: false,
      due: [],
      restsUntil: 0,
      lastFrame: performance.now(),
      isReturnedTo: false,
      rounds: roundsOf(),
      steps: stepsOf(),
      quietUntil: 0,
      isQuiet: false,
      giveUp: () => {},
    };
    channels.set(id, channel);
    const givenUp = new Promise<never>((_, reject) => {
      channel.giveUp = reject;
    });
    channel.ready = Promise.race([join(channel), givenUp]);
    // For a moment, so that the log that failed is not asked again by each newcomer.
    channel.ready.catch(() => void setTimeout(() => leave(channel), LOG_QUIET_MS).unref());
    return channel;
  }

  /** Whoever is about to read a page keeps it. */
  function enter(id: string): Channel {
    const channel = channelOf(id);
    idle.delete(channel);
    channel.entering++;
    return channel;
  }

  /** Somebody has left: when nobody is there any more, the page is kept for a while only. */
  function rest(channel: Channel): void {
    if (isIdle(channel) && channels.get(channel.id) === channel) idle.add(channel, channel.isReturnedTo);
  }

  /**
   * Listens, then takes the head: what comes in between is found out by its number. A bus that is away keeps
   * nobody out: until it listens, the log is asked every second.
   */
  async function join(channel: Channel): Promise<void> {
    const subscribed = subscribe(channel);
    if (busStatus === "up") await within(BUS_WAITED_FOR_MS, subscribed);
    const { isSubscribed } = channel;
    const [head] = await inTime(log.heads([channel.id]));
    setHead(channel, head!);
    // What was announced while the head was read may not be in it.
    if (channel.again || channel.isSubscribed !== isSubscribed) refresh(channel);
  }

  /**
   * Resolves when the bus listens, or when that failed and is to be tried again. Until it listens the log is asked
   * every second.
   */
  async function subscribe(channel: Channel): Promise<void> {
    const isWanted = () => channels.get(channel.id) === channel && !isClosing;
    const ask = () => channel.head !== "" && refresh(channel);
    const asking = setInterval(() => {
      if (isWanted() && !channel.isSubscribed) ask();
      else clearInterval(asking);
    }, ASKED_WHILE_DEAF_MS).unref();
    const attempt = async (pause: number): Promise<void> => {
      subscribing++;
      try {
        const subscription = bus.subscribe(channel.id, (announcement) => hear(channel, announcement));
        const unsubscribe = await subscription.finally(() => subscribing--);
        channel.unsubscribe = unsubscribe;
        channel.isSubscribed = true;
        refused.delete(channel);
        if (channels.get(channel.id) === channel) ask();
        else await unsubscribe();
      } catch (error) {
        if (!isWanted()) return;
        refused.add(channel);
        subscribeFailed(error, channel);
        const again = () => isWanted() && void attempt(Math.min(2 * pause, MAX_SUBSCRIBE_AGAIN_MS));
        setTimeout(again, pause).unref();
      }
    };
    await attempt(SUBSCRIBE_AGAIN_MS);
  }

  /** One report a minute, or of another error: a bus that refuses one page refuses them all. */
  function subscribeFailed(error: unknown, { id }: Channel): void {
    const now = performance.now();
    const text = String(error);
    if (text === lastRefusal.text && now - lastRefusal.at < REFUSAL_TOLD_MS) return;
    lastRefusal = { text, at: now };
    onError(error, { stage: "subscribe", channel: id });
  }

  async function leave(channel: Channel): Promise<void> {
    if (channels.get(channel.id) === channel) channels.delete(channel.id);
    refused.delete(channel);
    idle.delete(channel);
    channel.steps.drop();
    try {
      await channel.unsubscribe?.();
    } catch (error) {
      onError(error, { stage: "unsubscribe", channel: channel.id });
    }
  }

  /** What readers at the head have been sent. */
  function setHead(channel: Channel, head: Cursor, at: CursorParts = parseCursor(head)!): void {
    channel.head = head;
    channel.at = at;
  }

  // --- from the bus to readers ---------------------------------------------------------------------------

  function hear(channel: Channel, announcement: Announcement): void {
    if (channel.head === "") {
      channel.again = true; // the head is being read, and may not include it
      return;
    }
    const { epoch, seq } = parseCursor(announcement.cursor) ?? { epoch: "", seq: 0 };
    if (epoch === channel.at.epoch) {
      const known = channel.at.seq + channel.due.length;
      if (seq <= known) return;
      if (seq === known + 1 && "renders" in announcement && !channel.refreshing) {
        counts.updates++;
        channel.due.push(framesOf(announcement));
        if (channel.due.length === 1) flushSoon(channel);
        return;
      }
    }
    // A gap, another epoch, or a cursor alone: the log knows.
    refresh(channel);
  }

  /**
   * What came in one turn of the event loop leaves in one write a reader: a lone update at once, many for the price of one.
   * Where many come, the next ones wait as long as these took to write: so more of them leave together.
   */
  function flushSoon(channel: Channel): void {
    const wait = channel.restsUntil - performance.now();
    if (wait > 0) setTimeout(flush, wait, channel);
    else setImmediate(flush, channel);
  }

  function flush(channel: Channel): void {
    const { due, steps } = channel;
    if (due.length === 0) return;
    const isMany = due.length > 1;
    const started = performance.now();
    let from = channel.head;
    for (const each of due) {
      steps.add(from, each);
      from = each.cursor;
    }
    const frames = due.length === 1 ? due[0]! : joined(due);
    channel.due.length = 0;
    advance(channel, frames);
    const ended = performance.now();
    channel.restsUntil = isMany ? ended + Math.min(ended - started, MAX_REST_MS) : 0;
  }

  /** Sends frames to all readers at the head; then that is the head. */
  function advance(channel: Channel, frames: Frames): void {
    const before = channel.head;
    setHead(channel, frames.cursor);
    sendToCurrent(channel, frames, before);
    for (const member of channel.lagging) catchUp(member);
  }

  /** Whose socket is full lags from where it is. */
  function sendToCurrent(channel: Channel, frames: Frames, before: Cursor): void {
    channel.lastFrame = performance.now();
    let transport: Transport<unknown> | undefined;
    let isPublished = false;
    let isJoined = true;
    let frame: unknown;
    let sent = 0;
    const published = new Set<Transport<unknown>>();
    for (const member of channel.current) {
      const connection = member.connection!;
      const isPassed = frames.isReset && member.transport.knowsNoReset;
      if (isPassed || connection.bufferedAmount > MAX_BUFFERED_BYTES) {
        fallBehind(member, isPassed ? beginningOf(frames.cursor) : before);
        continue;
      }
      if (member.transport !== transport) {
        transport = member.transport;
        isPublished = transport.topics !== undefined;
        if (isPublished) published.add(transport);
        isJoined = frames.parts === undefined || transport.join !== undefined;
        frame = isJoined && !isPublished && frameFor(frames, transport);
      }
      sent++;
      if (isPublished) continue;
      if (isJoined) connection.send(frame);
      else for (const part of frames.parts!) connection.send(frameFor(part, transport));
    }
    // Not before those whose sockets are full have left.
    for (const each of published) publish(channel, frames, each);
    counts.frames += sent;
    if (frames.isReset) counts.resets += sent;
  }

  function publish(channel: Channel, frames: Frames, transport: Transport<unknown>): void {
    const each = (frames.parts ?? [frames]).map((part) => frameFor(part, transport));
    if (transport.topics!.publish(channel.id, each)) return;
    for (const { transport: own, connection } of channel.current) {
      if (own === transport) for (const frame of each) connection!.send(frame);
    }
  }

  function keepUp(member: Member): void {
    const { channel, connection, transport } = member;
    member.cursor = null;
    channel.lagging.delete(member);
    channel.current.add(member);
    transport.topics?.subscribe(connection!, channel.id);
  }

  function fallBehind(member: Member, cursor: Cursor): void {
    const { channel, connection, transport } = member;
    transport.topics?.unsubscribe(connection!, channel.id);
    member.cursor = cursor;
    channel.current.delete(member);
    channel.lagging.add(member);
  }

  function refresh(channel: Channel): void {
    channel.again = true;
    if (channel.refreshing || channel.isQuiet) return;
    const quiet = channel.quietUntil - performance.now();
    if (quiet > 0) {
      channel.isQuiet = true;
      setTimeout(() => {
        channel.isQuiet = false;
        refresh(channel);
      }, quiet).unref();
      return;
    }
    flush(channel);
    channel.refreshing = true;
    void (async () => {
      try {
        while (channel.again && channels.get(channel.id) === channel) {
          channel.again = false;
          const asked = channel.head;
          const frames = toFrames(await inTime(log.since(channel.id, asked)));
          if (frames.cursor !== asked) {
            counts.gaps++;
            if (frames.isReset) channel.steps.drop();
            else channel.steps.add(asked, frames);
            advance(channel, frames);
          }
          channel.again ||= frames.more;
        }
      } catch (error) {
        // Asked again with the heads, a few seconds from now.
        logFailed(channel, error, "refresh");
      } finally {
        channel.refreshing = false;
      }
    })();
  }

  // --- one reader that is behind -------------------------------------------------------------------------

  /** Tells a reader that lags what it missed, unless its socket is still full. */
  function catchUp(member: Member): void {
    const { channel, connection, cursor } = member;
    if (member.busy || member.gone || member.isAway || cursor === null || connection === null) return;
    if (cursor === channel.head) {
      keepUp(member);
      if (!member.isGreeted) write(member, heartbeatOf(channel));
      return;
    }
    if (connection.bufferedAmount > MAX_BUFFERED_BYTES || performance.now() < channel.quietUntil) return;
    member.busy = true;
    missed(channel, cursor).then(
      (frames) => {
        if (frames.isReset && member.transport.knowsNoReset && cursor !== beginningOf(frames.cursor)) {
          member.cursor = beginningOf(frames.cursor);
          member.busy = false;
          catchUp(member);
          return;
        }
        const moved = frames.cursor !== cursor;
        member.cursor = frames.cursor;
        // A connection may say that it has drained while it is being written to: until then it stays busy.
        if (!member.gone && !member.isAway && (moved || frames.isReset)) write(member, frames);
        member.busy = false;
        if (member.gone || member.isAway) return;
        // Behind this process's head: go on. Ahead of it, or of another epoch: the channel has to follow first.
        flush(channel);
        if (frames.cursor === channel.head || (moved && isBehind(frames.cursor, channel.at))) catchUp(member);
        else refresh(channel);
      },
      () => {
        member.busy = false; // looked at again with the other laggards
      },
    );
  }

  /** What came after a cursor: from what this process knows, else from the log. Readers that missed the same share it. */
  function missed(channel: Channel, cursor: Cursor): Promise<Frames> {
    return channel.steps.get(cursor, channel.head, () => {
      counts.catchUps++;
      const answer = inTime(log.since(channel.id, cursor)).then(toFrames);
      answer.catch((error: unknown) => logFailed(channel, error, "catch up"));
      return answer;
    });
  }

  function write(member: Member, frames: Frames): void {
    counts.frames++;
    member.isGreeted = true;
    if (frames.isReset) counts.resets++;
    member.connection!.send(frameFor(frames, member.transport));
  }

  // --- coming and going ----------------------------------------------------------------------------------

  function refuse(status: number, reason: string, retryAfter?: number): Refusal {
    counts.refused++;
    return retryAfter === undefined ? { status, reason } : { status, reason, retryAfter };
  }

  function check({ channel, cursor, origin, host }: Question): Refusal | null {
    if (isClosing) return refuse(503, RESTARTING, 5);
    if (!isId(channel)) return refuse(400, "not a channel id");
    if (cursor && cursor.length > MAX_CURSOR_LENGTH) return refuse(400, "not a cursor");
    if (!isAllowedOrigin(origins, origin, host)) return refuse(403, "this origin may not read here");
    return null;
  }

  function unreadable(channel: Channel, error: unknown): Refusal {
    if (isClosing) return refuse(503, RESTARTING, 5);
    // What failed for a page that is known has been told by who asked the log.
    if (channel.head === "") joinFailed(channel, error);
    return refuse(503, UNREADABLE, 5);
  }

  async function poll(question: Question): Promise<Polled | Refusal> {
    const refusal = check(question);
    if (refusal) return refusal;
    if (!channels.has(question.channel) && subscribing >= MAX_SUBSCRIBING) return refuse(503, UNREADABLE, 5);
    const channel = enter(question.channel);
    try {
      await channel.ready;
      channel.isReturnedTo ||= isOf(channel, question.cursor);
      const cursor = question.cursor || channel.head;
      counts.polls++;
      if (cursor === channel.head) {
        return { text: encodeHeartbeat(cursor), cursor, kind: "nothing" };
      }
      const frames = await channel.rounds.ask(cursor, () => polls(() => missed(channel, cursor)));
      if (frames.cursor !== channel.head && !isBehind(frames.cursor, channel.at)) refresh(channel);
      const kind = frames.isReset ? "reset" : frames.cursor === cursor ? "nothing" : "update";
      if (frames.isReset) counts.resets++;
      return { text: frames.text, cursor: frames.cursor, kind };
    } catch (error) {
      return unreadable(channel, error);
    } finally {
      channel.entering--;
      rest(channel);
    }
  }

  async function admit<F>(admission: Admission<F>): Promise<Admitted<F> | Refusal> {
    const { channel: id, cursor, transport } = admission;
    // Kept with each reader only where it counts.
    const address = maxConnectionsPerAddress > 0 ? admission.address : undefined;
    const refusal = check(admission);
    if (refusal) return refusal;
    const connections = address === undefined ? 0 : (addresses.get(address) ?? 0);
    if (maxConnectionsPerAddress > 0 && connections >= maxConnectionsPerAddress) {
      return refuse(429, "too many connections from this address", 60);
    }
    if (address !== undefined) addresses.set(address, connections + 1);
    const channel = enter(id);
    const member = new Member(hears, channel, address, transport as Transport<unknown>);
    try {
      await channel.ready;
    } catch (error) {
      goodbye(member);
      return unreadable(channel, error);
    }
    channel.isReturnedTo ||= isOf(channel, cursor);
    member.cursor = cursor || channel.head;
    counts.admitted++;
    return {
      open: (connection) => welcome(member, connection as Connection),
      cancel: () => goodbye(member),
    };
  }

  function welcome(member: Member, connection: Connection): Reader {
    const { channel } = member;
    channel.entering--;
    counts.readers++;
    member.connection = connection;
    channel.lagging.add(member);
    if (lastWords) sendAway(member, lastWords);
    else catchUp(member);
    return member;
  }

  /** A reader has nothing to say; it may say it a little. */
  function hearReader(member: Member, bytes: number): void {
    if (member.gone) return;
    const now = performance.now();
    if (now > member.windowEnds) {
      member.windowEnds = now + MESSAGES_WINDOW_MS;
      member.messages = 0;
    }
    if (bytes > MAX_MESSAGE_BYTES) member.connection!.close(1009, "message too big");
    else if (++member.messages > MAX_MESSAGES) member.connection!.close(1008, "too many messages");
  }

  function goodbye(member: Member): void {
    if (member.gone) return;
    member.gone = true;
    const { channel, address } = member;
    if (member.connection) counts.readers--;
    else channel.entering--;
    channel.current.delete(member);
    channel.lagging.delete(member);
    rest(channel);
    if (address !== undefined) {
      const connections = addresses.get(address)! - 1;
      if (connections === 0) addresses.delete(address);
      else addresses.set(address, connections);
    }
    if (isClosing && counts.readers === 0) everybodyLeft();
  }

  const hears: Hears = { message: hearReader, drained: catchUp, closed: goodbye };

  // --- timers: a few for all -----------------------------------------------------------------------------

  const laggardsTimer = setInterval(() => {
    for (const { lagging } of channels.values()) {
      for (const member of lagging) {
        catchUp(member);
        if (!member.isGreeted) beatLaggard(member);
      }
    }
  }, LAGGARDS_LOOKED_AT_MS).unref();

  let laggardsBeatAt = performance.now();
  const beatTimer = setInterval(() => {
    const now = performance.now();
    const isLaggardsTurn = now - laggardsBeatAt >= HEARTBEAT_MS;
    if (isLaggardsTurn) laggardsBeatAt = now;
    for (const channel of channels.values()) {
      if (channel.head !== "" && now - channel.lastFrame >= HEARTBEAT_MS) beat(channel);
      if (isLaggardsTurn) for (const member of channel.lagging) beatLaggard(member);
    }
    idle.expire();
  }, BEATS_LOOKED_AT_MS).unref();

  function beat(channel: Channel): void {
    sendToCurrent(channel, heartbeatOf(channel), channel.head);
  }

  /** The log is away: the connection is not. With its own cursor, which moves nobody. */
  function beatLaggard(member: Member): void {
    const { cursor, connection, gone, isAway } = member;
    if (gone || isAway || !parseCursor(cursor) || connection!.bufferedAmount > MAX_BUFFERED_BYTES) return;
    write(member, newFrames(encodeHeartbeat(cursor!), cursor!));
  }

  /** The last update announced may have been lost, or never announced: nothing on the bus would tell. */
  async function askHeads(): Promise<void> {
    const asked = [...channels.values()].filter(({ head }) => head !== "");
    if (asked.length === 0) return;
    try {
      const heads = await inTime(log.heads(asked.map(({ id }) => id)));
      for (const [i, channel] of asked.entries()) if (heads[i] !== channel.head) refresh(channel);
    } catch (error) {
      onError(error, { stage: "heads" });
    }
  }

  let headsTimer: NodeJS.Timeout | undefined;
  function askHeadsIn(ms: number): void {
    clearTimeout(headsTimer);
    const timer = setTimeout(async () => {
      await askHeads();
      // Unless it was set anew while the log was asked.
      if (headsTimer === timer && !isClosing) askHeadsIn(HEADS_ASKED_MS[busStatus]);
    }, ms).unref();
    headsTimer = timer;
  }

  askHeadsIn(HEADS_ASKED_MS.up);
  const endStatus = bus.onStatus?.((status) => {
    busStatus = status;
    askHeadsIn(status === "up" ? 0 : HEADS_ASKED_MS.down);
  });

  // --- the end -------------------------------------------------------------------------------------------

  let everybodyLeft = () => {};

  function retryWindow(): RetryWindow {
    return [
      500,
      Math.round(Math.min(Math.max(2_000, (counts.readers / RETURNS_PER_SECOND) * 1_000), 60_000)),
    ];
  }

  function sendAway(member: Member, frames: Frames): void {
    write(member, frames);
    member.isAway = true;
    member.channel.current.delete(member);
    member.channel.lagging.delete(member);
    member.connection!.close(1012, RESTARTING);
  }

  let closed: Promise<void> | undefined;

  async function end({ retry = retryWindow(), drainMs = 5_000 }: CloseOptions): Promise<void> {
    isClosing = true;
    clearInterval(laggardsTimer);
    clearInterval(beatTimer);
    clearTimeout(headsTimer);
    endStatus?.();
    const left = new Promise<void>((resolve) => {
      everybodyLeft = resolve;
    });
    lastWords = farewell(retry);
    for (const channel of channels.values()) {
      flush(channel);
      channel.giveUp(new TidingsError("closed", "the hub is closing", { where: "hub" }));
      for (const member of [...channel.current, ...channel.lagging]) sendAway(member, lastWords);
    }
    if (counts.readers > 0) await within(drainMs, left);
    // A bus that is away answers nothing; closing it, which follows, ends its subscriptions all the same.
    await within(UNSUBSCRIBED_MS, Promise.all([...channels.values()].map(leave)));
  }

  return {
    admit,
    poll,
    origins,
    close: (options = {}) => (closed ??= end(options)),
    busStatus: () => (refused.size > 0 ? "down" : busStatus),
    stats() {
      let lagging = 0;
      for (const channel of channels.values()) lagging += channel.lagging.size;
      return { ...counts, channels: channels.size, lagging };
    },
  };
}

// ----------------------------------------------------------------------------------------------------------

function beginningOf(cursor: Cursor): Cursor {
  return formatCursor(parseCursor(cursor)!.epoch, 0);
}

/** Whether a cursor is one that this page's present history has given out; its epoch is a name that nobody guesses. */
function isOf({ at }: Channel, cursor: string | null | undefined): boolean {
  const parts = parseCursor(cursor);
  return parts !== null && parts.epoch === at.epoch && parts.seq <= at.seq;
}

function isIdle({ current, lagging, entering }: Channel): boolean {
  return current.size + lagging.size + entering === 0;
}

function heartbeatOf({ head }: Channel): Frames {
  return newFrames(encodeHeartbeat(head), head);
}

function farewell([minMs, maxMs]: RetryWindow): Frames {
  return newFrames(encodeRetry(minMs, maxMs), "");
}

function isBehind(cursor: Cursor, head: CursorParts): boolean {
  const at = parseCursor(cursor);
  return at !== null && at.epoch === head.epoch && at.seq < head.seq;
}
