import { TidingsError } from "../errors.ts";
import type { Announcement } from "../protocol.ts";
import type { Bus, BusStatus, Listener } from "./bus.ts";
import { decodeAnnouncement, encodeAnnouncement } from "./encoding.ts";

/** More than this that the server has not taken yet, and announcements are dropped: the log has them. */
const MAX_ON_THE_WAY_BYTES = 32_000_000;
const OPEN_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;
const MAX_PAUSE_MS = 5_000;

/** What is asked of a server while one connection to it lasts. */
export interface Session {
  /** Larger announcements are sent as their cursor alone. */
  readonly maxBytes: number;
  /** Resolves when the server has it. */
  publish(channel: string, body: Buffer): Promise<void>;
  /** Resolves when the server will bring the channel's announcements. Takes effect in the order of calls. */
  listen(channel: string): Promise<void>;
  unlisten(channel: string): Promise<void>;
  close(): Promise<void>;
}

/** What a session tells of itself. */
export interface SessionEvents {
  heard(channel: string, text: string): void;
  /** The connection is of no more use. The session's `close` is called then. */
  ended(reason: unknown): void;
  /** Something failed that does not end the session. */
  failed(error: unknown, stage: string): void;
}

export interface SessionBusOptions {
  /** For messages: `"nats bus"`. */
  readonly where: string;
  /** Connects. A `settings` error is final, all others are tried again. */
  readonly open: (events: SessionEvents) => Promise<Session>;
  readonly onError?: BusOnError;
}

export type BusOnError = (error: unknown, context: { stage: string }) => void;

/** A session that is in use. */
interface Live {
  readonly session: Session;
  readonly listening: Map<string, Promise<void>>;
  /** What must not wait for a server that is gone. */
  readonly waiting: Set<(reason: unknown) => void>;
}

/**
 * A bus over a server that comes and goes. Holds one session at a time; when it ends, opens another after a pause
 * with back-off and jitter, listens to everything again, and only then is "up". Nothing is queued while it is down.
 *
 * @example
 * const natsBus = ({ url }) => sessionBus({ where: "nats bus", open: (events) => connect(url, events) });
 */
export function sessionBus({ where, open, onError = console.error }: SessionBusOptions): Bus {
  const channels = new Map<string, Set<Listener>>();
  const statusListeners = new Set<(status: BusStatus) => void>();
  const closing = new AbortController();
  let live: Live | undefined;
  let status: BusStatus = "up";
  let opened = Promise.withResolvers<Live>();
  const firstAttempt = Promise.withResolvers<void>();
  let onTheWay = { bytes: 0, drained: () => {}, full: false };

  const report = (error: unknown, stage: string) => {
    if (!closing.signal.aborted) onError(error, { stage });
  };

  // --- one session after the other -----------------------------------------------------------------------

  async function keepOpen(): Promise<void> {
    for (let attempt = 0; !closing.signal.aborted; attempt++) {
      const reason = await useOne(() => {
        attempt = 0;
      }).catch((error: unknown) => error);
      if (closing.signal.aborted) return;
      const isFinal = reason instanceof TidingsError && reason.code === "settings";
      if (status === "up") report(isFinal ? reason : unavailable(reason), "connect");
      tell("down");
      if (isFinal) return end(reason);
      firstAttempt.resolve();
      await pause(backoff(attempt), closing.signal);
    }
  }

  /** Opens a session and uses it for as long as it lasts; gives back why it ended. */
  async function useOne(isUp: () => void): Promise<unknown> {
    const ended = Promise.withResolvers<unknown>();
    const opening = open({ heard, ended: ended.resolve, failed: report });
    const session = await within(OPEN_WITHIN_MS, opening);
    if (session === undefined || closing.signal.aborted) {
      opening.then((late) => late.close()).catch(() => {});
      return new Error("no answer");
    }
    const mine: Live = { session, listening: new Map(), waiting: new Set() };
    live = mine;
    opened.resolve(mine);
    firstAttempt.resolve();
    void Promise.allSettled([...channels.keys()].map((channel) => listen(mine, channel))).then((results) => {
      if (live !== mine) return;
      for (const result of results) if (result.status === "rejected") report(result.reason, "subscribe");
      isUp();
      tell("up");
    });
    const reason = await ended.promise;
    if (live === mine) letGo();
    session.close().catch(() => {});
    return reason;
  }

  function letGo(): void {
    const { waiting } = live ?? {};
    live = undefined;
    opened = Promise.withResolvers();
    onTheWay = { bytes: 0, drained: () => {}, full: false };
    for (const giveUp of waiting ?? []) giveUp(new Error("the connection ended"));
  }

  /** Whoever waits for a session waits no longer. */
  function end(reason: unknown): void {
    closing.abort(reason);
    firstAttempt.resolve();
    opened.promise.catch(() => {});
    opened.reject(reason);
  }

  function unavailable(cause: unknown): TidingsError {
    // Node's for a name with several addresses, all of which refuse, says it only in its parts.
    const [first] = cause instanceof AggregateError ? cause.errors : [cause];
    const reason = first instanceof Error && first.message ? first.message : "the connection ended";
    return new TidingsError("unavailable", `the server cannot be reached: ${reason}`, { where, cause });
  }

  function tell(now: BusStatus): void {
    if (now === status) return;
    status = now;
    for (const listener of statusListeners) listener(now);
  }

  // --- listening -----------------------------------------------------------------------------------------

  function heard(channel: string, text: string): void {
    const listeners = channels.get(channel);
    if (!listeners) return;
    let announcement: Announcement;
    try {
      announcement = decodeAnnouncement(text);
    } catch (cause) {
      const detail = `what came for channel ${JSON.stringify(channel)} is no announcement`;
      report(new TidingsError("invalid", detail, { where, cause }), "message");
      return;
    }
    for (const listener of listeners) {
      try {
        listener(announcement);
      } catch (error) {
        report(error, "listener");
      }
    }
  }

  /** Once a session and channel, however many ask. */
  function listen(by: Live, channel: string): Promise<void> {
    const known = by.listening.get(channel);
    if (known) return known;
    const listening = untilEnd(by, by.session.listen(channel));
    by.listening.set(channel, listening);
    listening.catch(() => by.listening.get(channel) === listening && by.listening.delete(channel));
    return listening;
  }

  async function listenWhenOpen(channel: string): Promise<void> {
    for (;;) {
      const by = live ?? (await opened.promise);
      try {
        return await listen(by, channel);
      } catch (error) {
        if (by === live || closing.signal.aborted) throw error;
      }
    }
  }

  async function unlisten(channel: string): Promise<void> {
    if (!live?.listening.delete(channel)) return;
    const by = live;
    try {
      await untilEnd(by, by.session.unlisten(channel));
    } catch (error) {
      if (by === live) report(error, "unsubscribe");
    }
  }

  /** `promise`, or a rejection as soon as the session has ended. */
  function untilEnd<T>({ waiting }: Live, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.add(reject);
      promise.then(resolve, reject).finally(() => waiting.delete(reject));
    });
  }

  // --- publishing ----------------------------------------------------------------------------------------

  function send({ session }: Live, channel: string, announcement: Announcement): void {
    const way = onTheWay;
    let body = Buffer.from(encodeAnnouncement(announcement));
    if (body.length > session.maxBytes) {
      body = Buffer.from(encodeAnnouncement({ cursor: announcement.cursor }));
    }
    if (way.bytes + body.length > MAX_ON_THE_WAY_BYTES) {
      if (!way.full) report(unavailable(new Error("it is too slow; announcements are dropped")), "publish");
      way.full = true;
      return;
    }
    way.bytes += body.length;
    session
      .publish(channel, body)
      .catch((error: unknown) => {
        if (way === onTheWay) report(error, "publish");
      })
      .finally(() => {
        way.bytes -= body.length;
        if (way.bytes > 0) return;
        way.full = false;
        way.drained();
      });
  }

  void keepOpen();

  return {
    async publish(channel, announcement) {
      // Before the first connection there is something to wait for; later, what is down stays silent.
      if (!live) await firstAttempt.promise;
      if (live) send(live, channel, announcement);
    },

    async subscribe(channel, listener) {
      closing.signal.throwIfAborted();
      // A wrapper of its own, so that one function subscribed twice is two subscriptions.
      const own: Listener = (announcement) => listener(announcement);
      const listeners = channels.get(channel) ?? new Set();
      channels.set(channel, listeners.add(own));
      const unsubscribe = async () => {
        if (!listeners.delete(own) || listeners.size > 0 || channels.get(channel) !== listeners) return;
        channels.delete(channel);
        await unlisten(channel);
      };
      try {
        await listenWhenOpen(channel);
      } catch (error) {
        await unsubscribe();
        throw error;
      }
      return unsubscribe;
    },

    onStatus(listener) {
      statusListeners.add(listener);
      if (status === "down") listener(status);
      return () => statusListeners.delete(listener);
    },

    async close() {
      if (closing.signal.aborted) return;
      const way = onTheWay;
      if (way.bytes > 0) {
        await within(
          CLOSE_WITHIN_MS,
          new Promise<void>((resolve) => {
            way.drained = resolve;
          }),
        );
      }
      end(new TidingsError("closed", "the bus is closed", { where }));
      channels.clear();
      statusListeners.clear();
      const closed = live?.session.close();
      letGo();
      await within(CLOSE_WITHIN_MS, closed ?? Promise.resolve()).catch(() => {});
    },
  };
}

/** 50 ms, then up to twice as long each time, up to 5 s: half of it for sure, half by chance. */
function backoff(attempt: number): number {
  const most = Math.min(MAX_PAUSE_MS, 100 * 2 ** attempt);
  return (most / 2) * (1 + Math.random());
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms).unref();
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

/** What the promise comes to, or `undefined` when that takes longer. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
