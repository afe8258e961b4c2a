/** The pages that this process listens to: those that are read, and for a while those that were. */
import type { Bus, Unsubscribe } from "../buses/bus.ts";
import type { Announcement } from "../protocol.ts";
import { within } from "../within.ts";
import { type Asking, LOG_QUIET_MS, type OnError } from "./asking.ts";
import { type Channel, isIdle, newChannel, setHead } from "./channel.ts";
import { idlePages } from "./idle.ts";
import { boundedRounds } from "./rounds.ts";
import { boundedSteps } from "./steps.ts";

/** How long a page's first reader waits for the bus; then the log will do. */
const BUS_WAITED_FOR_MS = 1_000;
/** How soon a subscription that failed is tried again: at first, and at last. */
const SUBSCRIBE_AGAIN_MS = 1_000;
const MAX_SUBSCRIBE_AGAIN_MS = 30_000;
const ASKED_WHILE_DEAF_MS = 1_000;
const REFUSAL_TOLD_MS = 60_000;
/** What is kept of all pages' updates, for readers that are behind. */
const MAX_STEPS_BYTES = 16_000_000;
/** The same for readers that poll, in characters. */
const MAX_ROUNDS_KEPT = 16_000_000;
/** Channels without readers that are kept subscribed: so many of those that a reader came back to, and so many others. */
const MAX_IDLE_CHANNELS = 1_000;
/** Subscriptions that may wait for a bus that is away, before polls of pages that nobody reads are refused. */
const MAX_SUBSCRIBING = 1_000;
/** A channel without readers is kept subscribed for this long, for the one who reloads. */
const CHANNEL_KEPT_MS = 10_000;

export interface Channels extends Iterable<Channel> {
  readonly size: number;
  /** Somebody is about to read a page, which is kept from now on: when its `ready` has resolved, its head is known. */
  enter(id: string): Channel;
  /** Somebody has left: when nobody is there any more, the page is kept for a while only. */
  rest(channel: Channel): void;
  /** Whether a page can be read without waiting for one more subscription, where too many wait. */
  hasRoomFor(id: string): boolean;
  /** Lets go of pages that were idle long enough. */
  expire(): void;
  /** Whether the bus refuses to subscribe to a page. */
  isRefused(): boolean;
  /** Asks the bus for nothing more. */
  stop(): void;
  leaveAll(): Promise<unknown>;
}

export interface ChannelsOptions {
  readonly bus: Bus;
  readonly isBusUp: () => boolean;
  readonly asking: Asking;
  readonly onError: OnError;
  readonly hear: (channel: Channel, announcement: Announcement) => void;
  readonly refresh: (channel: Channel) => void;
}

export function listenedTo({ bus, isBusUp, asking, onError, hear, refresh }: ChannelsOptions): Channels {
  const channels = new Map<string, Channel>();
  const stepsOf = boundedSteps(MAX_STEPS_BYTES);
  const roundsOf = boundedRounds(MAX_ROUNDS_KEPT);
  /** Whoever asks for pages that nobody reads cannot make this process listen to them all. */
  const idle = idlePages<Channel>({
    most: MAX_IDLE_CHANNELS,
    keptMs: CHANNEL_KEPT_MS,
    letGo: (channel) => void leave(channel),
  });
  /** Subscriptions that the bus has not answered yet. */
  let subscribing = 0;
  /** Pages that the bus would not subscribe to. */
  const refused = new Set<Channel>();
  let lastRefusal = { text: "", at: 0 };
  let isStopped = false;

  function channelOf(id: string): Channel {
    const known = channels.get(id);
    if (known) return known;
    const channel = newChannel(id, roundsOf(), stepsOf());
    channels.set(id, channel);
    const givenUp = new Promise<never>((_, reject) => {
      channel.giveUp = reject;
    });
    channel.ready = Promise.race([join(channel), givenUp]);
    // For a moment, so that the log that failed is not asked again by each newcomer.
    channel.ready.catch(() => void setTimeout(() => leave(channel), LOG_QUIET_MS).unref());
    return channel;
  }

  /**
   * Listens, then takes the head: what comes in between is found out by its number. A bus that is away keeps
   * nobody out: until it listens, the log is asked every second.
   */
  async function join(channel: Channel): Promise<void> {
    const subscribed = subscribe(channel);
    if (isBusUp()) await within(BUS_WAITED_FOR_MS, subscribed);
    const { isSubscribed } = channel;
    const [head] = await asking.heads([channel.id]);
    setHead(channel, head!);
    // What was announced while the head was read may not be in it.
    if (channel.again || channel.isSubscribed !== isSubscribed) refresh(channel);
  }

  /**
   * Resolves when the bus listens, or when that failed and is to be tried again. Until it listens the log is asked
   * every second.
   */
  async function subscribe(channel: Channel): Promise<void> {
    const isWanted = () => !channel.isLeft && !isStopped;
    const ask = () => channel.head !== "" && refresh(channel);
    const asks = setInterval(() => {
      if (isWanted() && !channel.isSubscribed) ask();
      else clearInterval(asks);
    }, ASKED_WHILE_DEAF_MS).unref();
    const attempt = async (pause: number): Promise<void> => {
      try {
        const unsubscribe = await subscribeOnce(channel);
        channel.unsubscribe = unsubscribe;
        channel.isSubscribed = true;
        refused.delete(channel);
        if (channel.isLeft) await unsubscribe();
        else ask();
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

  async function subscribeOnce(channel: Channel): Promise<Unsubscribe> {
    subscribing++;
    try {
      return await bus.subscribe(channel.id, (announcement) => hear(channel, announcement));
    } finally {
      subscribing--;
    }
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
    if (channel.isLeft) return;
    channel.isLeft = true;
    channels.delete(channel.id);
    refused.delete(channel);
    idle.delete(channel);
    channel.steps.drop();
    try {
      await channel.unsubscribe?.();
    } catch (error) {
      onError(error, { stage: "unsubscribe", channel: channel.id });
    }
  }

  return {
    [Symbol.iterator]: () => channels.values(),

    get size() {
      return channels.size;
    },

    enter(id) {
      const channel = channelOf(id);
      idle.delete(channel);
      channel.entering++;
      return channel;
    },

    rest(channel) {
      if (isIdle(channel) && !channel.isLeft) idle.add(channel, channel.isReturnedTo);
    },

    hasRoomFor: (id) => channels.has(id) || subscribing < MAX_SUBSCRIBING,
    expire: idle.expire,
    isRefused: () => refused.size > 0,

    stop() {
      isStopped = true;
    },

    leaveAll: () => Promise.all([...channels.values()].map(leave)),
  };
}
