import type { Bus, BusStatus } from "../buses/bus.ts";
import { TidingsError } from "../errors.ts";
import type { Log } from "../logs/log.ts";
import { encodeHeartbeat, encodeRetry, isId } from "../protocol.ts";
import { within } from "../within.ts";
import { askingLog, LOG_QUIET_MS, type OnError } from "./asking.ts";
import { atMost } from "./at-most.ts";
import { catchingUp } from "./catch-up.ts";
import { type Channel, heartbeatAt, isBehind, isOf, leave, Member, membersOf } from "./channel.ts";
import { listenedTo } from "./channels.ts";
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
import { sendToCurrent, write } from "./fan-out.ts";
import { following } from "./following.ts";
import { type Frames, newFrames } from "./frames.ts";
import { askHeads } from "./heads.ts";
import { isAllowedOrigin, type Origins } from "./origins.ts";
import { type HubStats, newCounts } from "./stats.ts";

export type { HubStats } from "./stats.ts";

/** How often readers that lag, and whose adapter tells of no drain, are looked at. */
const LAGGARDS_LOOKED_AT_MS = 250;
/** How long the end waits for the bus to let go of pages. */
const UNSUBSCRIBED_MS = 500;
const HEARTBEAT_MS = 25_000;
const BEATS_LOOKED_AT_MS = 1_000;
const MAX_CURSOR_LENGTH = 128;
const UNREADABLE = "the history cannot be read now";
const RESTARTING = "restarting";
/** How many readers should come back each second after a restart. */
const RETURNS_PER_SECOND = 500;
/** Questions of polling readers that the log answers at a time. */
const MAX_POLLS_ASKED = 16;

export interface HubOptions {
  readonly log: Log;
  readonly bus: Bus;
  /** Whose pages may open connections. Default `["own"]`: those of the host asked. */
  readonly origins?: Origins;
  /** Connections at a time from one address; 0, the default, is no limit. */
  readonly maxConnectionsPerAddress?: number;
  /** Told of what went wrong while nobody waited for an answer. Default: `console.error`. */
  readonly onError?: OnError;
}

/** Who reads which page, and what each has been sent. */
export interface Hub {
  /**
   * A reader asks to enter. Resolves with a refusal, or with a place from which nothing published is missed:
   * `open` it when the upgrade is answered, `cancel` it when that failed.
   *
   * @example
   * const answer = await hub.admit({ channel: "finals", cursor, origin, host, address, transport });
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
  const counts = newCounts();
  const asking = askingLog(log, onError);
  const { catchUp, missed, beatLaggard } = catchingUp({
    asking,
    counts,
    flush: (channel) => flush(channel),
    refresh: (channel) => refresh(channel),
  });
  const { hear, flush, refresh } = following({ asking, counts, catchUp });
  const channels = listenedTo({ bus, isBusUp: () => busStatus === "up", asking, onError, hear, refresh });
  const heads = askHeads({ channels, asking, onError, refresh });
  let busStatus: BusStatus = "up";
  const endStatus = bus.onStatus?.((status) => {
    busStatus = status;
    heads.busIs(status);
  });

  const addresses = new Map<string, number>();
  const polls = atMost(MAX_POLLS_ASKED);
  let joinFailureQuietUntil = 0;
  let isClosing = false;
  /** What readers are told at the end, also those who were being let in. */
  let lastWords: Frames | undefined;

  // --- the door ------------------------------------------------------------------------------------------

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

  /** While no page can be read, newcomers come fast: one report a second is enough. */
  function joinFailed({ id }: Channel, error: unknown): void {
    const now = performance.now();
    if (now < joinFailureQuietUntil) return;
    joinFailureQuietUntil = now + LOG_QUIET_MS;
    onError(error, { stage: "join", channel: id });
  }

  async function poll(question: Question): Promise<Polled | Refusal> {
    const refusal = check(question);
    if (refusal) return refusal;
    if (!channels.hasRoomFor(question.channel)) return refuse(503, UNREADABLE, 5);
    const channel = channels.enter(question.channel);
    try {
      await channel.ready;
      channel.isReturnedTo ||= isOf(channel, question.cursor);
      const cursor = question.cursor || channel.head;
      counts.polls++;
      if (cursor === channel.head) {
        return { text: encodeHeartbeat(cursor), cursor, kind: "nothing" };
      }
      const frames = await channel.rounds.ask(cursor, () => polls(() => missed(channel, cursor)));
      if (frames.cursor !== channel.head && !isBehind(frames.cursor, channel)) refresh(channel);
      const kind = frames.isReset ? "reset" : frames.cursor === cursor ? "nothing" : "update";
      if (frames.isReset) counts.resets++;
      return { text: frames.text, cursor: frames.cursor, kind };
    } catch (error) {
      return unreadable(channel, error);
    } finally {
      channel.entering--;
      channels.rest(channel);
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
    const channel = channels.enter(id);
    const member = new Member(memberEvents, channel, address, transport as Transport<unknown>);
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

  function goodbye(member: Member): void {
    if (member.gone) return;
    member.gone = true;
    const { channel, address } = member;
    if (member.connection) counts.readers--;
    else channel.entering--;
    leave(member);
    channels.rest(channel);
    if (address !== undefined) {
      const connections = addresses.get(address)! - 1;
      if (connections === 0) addresses.delete(address);
      else addresses.set(address, connections);
    }
    if (isClosing && counts.readers === 0) everybodyLeft();
  }

  const memberEvents = { drained: catchUp, closed: goodbye };

  // --- timers: a few for all -----------------------------------------------------------------------------

  const laggardsTimer = setInterval(() => {
    for (const { lagging } of channels) {
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
    for (const channel of channels) {
      const { head, lastFrame, lagging } = channel;
      if (head !== "" && now - lastFrame >= HEARTBEAT_MS)
        sendToCurrent(channel, heartbeatAt(head), head, counts);
      if (isLaggardsTurn) for (const member of lagging) beatLaggard(member);
    }
    channels.expire();
  }, BEATS_LOOKED_AT_MS).unref();

  // --- the end -------------------------------------------------------------------------------------------

  let everybodyLeft = () => {};

  function retryWindow(): RetryWindow {
    return [
      500,
      Math.round(Math.min(Math.max(2_000, (counts.readers / RETURNS_PER_SECOND) * 1_000), 60_000)),
    ];
  }

  function sendAway(member: Member, frames: Frames): void {
    write(member, frames, counts);
    member.isAway = true;
    leave(member);
    member.connection!.close(1012, RESTARTING);
  }

  let closed: Promise<void> | undefined;

  async function end({ retry = retryWindow(), drainMs = 5_000 }: CloseOptions): Promise<void> {
    isClosing = true;
    clearInterval(laggardsTimer);
    clearInterval(beatTimer);
    heads.stop();
    channels.stop();
    endStatus?.();
    const left = new Promise<void>((resolve) => {
      everybodyLeft = resolve;
    });
    lastWords = farewell(retry);
    for (const channel of channels) {
      flush(channel);
      channel.giveUp(new TidingsError("closed", "the hub is closing", { where: "hub" }));
      for (const member of membersOf(channel)) sendAway(member, lastWords);
    }
    if (counts.readers > 0) await within(drainMs, left);
    // A bus that is away answers nothing; closing it, which follows, ends its subscriptions all the same.
    await within(UNSUBSCRIBED_MS, channels.leaveAll());
  }

  return {
    admit,
    poll,
    origins,
    close: (options = {}) => (closed ??= end(options)),
    busStatus: () => (channels.isRefused() ? "down" : busStatus),
    stats() {
      let lagging = 0;
      for (const channel of channels) lagging += channel.lagging.size;
      return { ...counts, channels: channels.size, lagging };
    },
  };
}

function farewell([minMs, maxMs]: RetryWindow): Frames {
  return newFrames(encodeRetry(minMs, maxMs), "");
}
