/** One session with a server after the other, for as long as they are wanted. */
import { TidingsError } from "../errors.ts";
import { within } from "../within.ts";

const OPEN_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;
const MAX_PAUSE_MS = 5_000;

/** What is asked of a server while one connection to it lasts. */
export interface Listening {
  /** Resolves when the server will bring what comes on the channel. Takes effect in the order of calls. */
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
  /** Aborted when nobody waits for the session any more. */
  readonly signal: AbortSignal;
}

/** For messages. */
export interface ServerName {
  /** Who talks to it: `"nats bus"`. */
  readonly where: string;
  /** What it is: `"NATS"`. Default: `"the server"`. */
  readonly server?: string;
  /** Whether it was reached, and would not. Default: never. */
  readonly isRefusal?: (error: unknown) => boolean;
}

export interface KeepSessionOptions<S extends Listening> extends ServerName {
  /** Connects. A `settings` error is final, all others are tried again. */
  readonly open: (events: SessionEvents) => Promise<S>;
  readonly heard?: SessionEvents["heard"];
  readonly onError?: ((error: unknown, context: { stage: string }) => void) | undefined;
}

export interface KeptSession<S extends Listening> {
  /** The session, while there is one. */
  readonly live: S | undefined;
  /** Resolves when the server was reached, or could not be, for the first time. */
  readonly firstAttempt: Promise<void>;
  /** Aborted, with the error to throw, once it is closed or a setting is wrong. */
  readonly signal: AbortSignal;
  /** The session that is there, or the next one. */
  whenLive(withinMs?: number): Promise<S>;
  /** Resolves when what comes on the channel is heard, or nobody wants it any more; while the server is away it waits. */
  listen(channel: string): Promise<void>;
  unlisten(channel: string): Promise<void>;
  onStatus(listener: (status: "up" | "down") => void): () => void;
  /** Reports through `onError`, which may throw, until it is closed. */
  report(error: unknown, stage: string): void;
  close(): Promise<void>;
}

/** A session that is in use. */
interface Live<S> {
  readonly session: S;
  readonly listening: Map<string, Promise<void>>;
  /** What must not wait for a server that is gone. */
  readonly waiting: Set<(reason: unknown) => void>;
}

/**
 * Holds one session at a time; when it ends, opens another after a pause with back-off and jitter, listens to everything
 * again, and only then is "up".
 *
 * @example
 * const kept = keepSession({ where: "nats bus", open: (events) => connect(url, events), heard: console.log });
 * await kept.listen("finals");
 */
export function keepSession<S extends Listening>(options: KeepSessionOptions<S>): KeptSession<S> {
  const { where, open, heard = () => {}, onError = console.error, isRefusal } = options;
  const wanted = new Set<string>();
  const statusListeners = new Set<(status: "up" | "down") => void>();
  const expecting = new Set<PromiseWithResolvers<Live<S>>>();
  const closing = new AbortController();
  const firstAttempt = Promise.withResolvers<void>();
  let live: Live<S> | undefined;
  let status: "up" | "down" = "up";
  let attempt = 0;
  /** Why the last attempt failed, until one goes well. */
  let failure: TidingsError | undefined;

  function report(error: unknown, stage: string): void {
    if (closing.signal.aborted) return;
    try {
      onError(error, { stage });
    } catch (thrown) {
      console.error(thrown);
    }
  }

  function tell(now: "up" | "down"): void {
    if (now === status) return;
    status = now;
    for (const listener of statusListeners) tellOne(listener);
  }

  function tellOne(listener: (status: "up" | "down") => void): void {
    try {
      listener(status);
    } catch (error) {
      report(error, "listener");
    }
  }

  // --- one session after the other -----------------------------------------------------------------------

  async function keepOpen(): Promise<void> {
    for (; !closing.signal.aborted; attempt++) {
      const reason = await useOne().catch((error: unknown) => error);
      if (closing.signal.aborted) return;
      const isFinal = reason instanceof TidingsError && reason.code === "settings";
      const before = failure;
      failure = isFinal ? reason : unreachable(options, reason);
      // Once an outage; that a server which was away is there, and refuses, is news.
      const isNews = isRefusal?.(reason) && before?.message !== failure.message;
      if (status === "up" || isNews) report(failure, "connect");
      tell("down");
      if (isFinal) return end(reason);
      firstAttempt.resolve();
      await pause(backoff(attempt), closing.signal);
    }
  }

  /** Opens a session and uses it for as long as it lasts; gives back why it ended. */
  async function useOne(): Promise<unknown> {
    const over = Promise.withResolvers<unknown>();
    let mine: Live<S> | undefined;
    let why: unknown;
    const ended = (reason: unknown) => {
      why ??= reason;
      if (mine) letGo(mine);
      over.resolve(reason);
    };
    const opening = open({ heard, ended, failed: report, signal: closing.signal });
    const session = await within(OPEN_WITHIN_MS, opening, closing.signal).catch((error: unknown) => {
      throw why ?? error; // of an ended connection a library may only say that it has ended
    });
    if (session === undefined || closing.signal.aborted) {
      opening.then((late) => late.close()).catch(() => {});
      return new Error("no answer");
    }
    mine = { session, listening: new Map(), waiting: new Set() };
    live = mine;
    for (const { resolve } of expecting) resolve(mine);
    firstAttempt.resolve();
    void listenAgain(mine);
    const reason = await over.promise;
    letGo(mine);
    session.close().catch(() => {});
    return reason;
  }

  /** Up is who hears all channels: one that is refused is tried again. */
  async function listenAgain(by: Live<S>): Promise<void> {
    for (let tries = 0; ; tries++) {
      const results = await Promise.allSettled([...wanted].map((channel) => listenOn(by, channel)));
      if (by !== live) return;
      const refused = results.find((result) => result.status === "rejected");
      if (!refused) break;
      // On the first session whoever subscribes is told.
      if (tries === 0 && status === "down") report(refused.reason, "subscribe");
      await pause(backoff(tries), closing.signal);
    }
    attempt = 0;
    failure = undefined;
    tell("up");
  }

  function letGo(of: Live<S>): void {
    if (live === of) live = undefined;
    for (const giveUp of of.waiting) giveUp(new Error("the connection ended"));
  }

  /** Whoever waits for a session waits no longer. */
  function end(reason: unknown): void {
    closing.abort(reason);
    firstAttempt.resolve();
    for (const { reject } of expecting) reject(reason);
  }

  async function whenLive(withinMs?: number): Promise<Live<S>> {
    closing.signal.throwIfAborted();
    if (live) return live;
    const next = Promise.withResolvers<Live<S>>();
    const late = () => next.reject(failure ?? new Error(`not connected within ${withinMs} ms`));
    const timer = withinMs === undefined ? undefined : setTimeout(late, withinMs);
    expecting.add(next);
    try {
      return await next.promise;
    } finally {
      clearTimeout(timer);
      expecting.delete(next);
    }
  }

  // --- listening -----------------------------------------------------------------------------------------

  /** Once a session and channel, however many ask. */
  function listenOn(by: Live<S>, channel: string): Promise<void> {
    const known = by.listening.get(channel);
    if (known) return known;
    const listening = untilEnd(by, by.session.listen(channel));
    by.listening.set(channel, listening);
    listening.catch(() => by.listening.get(channel) === listening && by.listening.delete(channel));
    return listening;
  }

  /** `promise`, or a rejection as soon as the session has ended. */
  function untilEnd<T>({ waiting }: Live<S>, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.add(reject);
      promise.then(resolve, reject).finally(() => waiting.delete(reject));
    });
  }

  void keepOpen();

  return {
    get live() {
      return live?.session;
    },
    firstAttempt: firstAttempt.promise,
    signal: closing.signal,
    whenLive: async (withinMs) => (await whenLive(withinMs)).session,

    async listen(channel) {
      closing.signal.throwIfAborted();
      wanted.add(channel);
      for (;;) {
        const by = await whenLive();
        if (!wanted.has(channel)) return;
        try {
          return await listenOn(by, channel);
        } catch (error) {
          closing.signal.throwIfAborted();
          if (by === live) throw error;
        }
      }
    },

    async unlisten(channel) {
      wanted.delete(channel);
      const by = live;
      if (!by?.listening.delete(channel)) return;
      try {
        await untilEnd(by, by.session.unlisten(channel));
      } catch (error) {
        if (by === live) report(error, "unsubscribe");
      }
    },

    onStatus(listener) {
      statusListeners.add(listener);
      if (status === "down") tellOne(listener);
      return () => statusListeners.delete(listener);
    },

    report,

    async close() {
      if (closing.signal.aborted) return;
      const last = live;
      end(new TidingsError("closed", `the ${where} has been closed`, { where }));
      wanted.clear();
      statusListeners.clear();
      if (!last) return;
      const closed = last.session.close();
      letGo(last);
      await within(CLOSE_WITHIN_MS, closed).catch(() => {});
    },
  };
}

export function unreachable(name: ServerName, cause: unknown): TidingsError {
  const { where, server = "the server", isRefusal } = name;
  // Node's for a name with several addresses, all of which refuse, says it only in its parts.
  const [first] = cause instanceof AggregateError ? cause.errors : [cause];
  const reason = first instanceof Error && first.message ? first.message : "the connection ended";
  const what = isRefusal?.(first) ? "refused" : "cannot be reached";
  return new TidingsError("unavailable", `${server} ${what}: ${reason}`, { where, cause });
}

/** 50–100 ms, then up to twice as long each time, up to 5 s: half of it for sure, half by chance. */
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
