import { TidingsError } from "../errors.ts";
import type { Announcement } from "../protocol.ts";
import {
  keepSession,
  type Listening,
  type ServerName,
  type SessionEvents,
  unreachable,
} from "../services/keep-session.ts";
import { keepListeners } from "../services/listeners.ts";
import { within } from "../within.ts";
import type { Bus } from "./bus.ts";
import { decodeAnnouncement, encodeAnnouncement } from "./encoding.ts";

export type { SessionEvents };

/** More than this that the server has not taken yet, and announcements are dropped: the log has them. */
const MAX_ON_THE_WAY_BYTES = 32_000_000;
const DRAIN_WITHIN_MS = 1_000;
/** Announcements that the server refuses are told once in this time. */
const TOLD_EVERY_MS = 1_000;

/** What a bus asks of a server while one connection to it lasts. */
export interface Session extends Listening {
  /** Larger announcements are sent as their cursor alone. */
  readonly maxBytes: number;
  /** Resolves when the server has it. */
  publish(channel: string, body: Buffer): Promise<void>;
}

export interface SessionBusOptions extends ServerName {
  /** Connects. A `settings` error is final, all others are tried again. */
  readonly open: (events: SessionEvents) => Promise<Session>;
  readonly onError?: BusOnError | undefined;
}

export type BusOnError = (error: unknown, context: { stage: string }) => void;

/** What a session's server has not taken yet. */
interface OnTheWay {
  readonly session: Session | undefined;
  bytes: number;
  drained: () => void;
  isFull: boolean;
}

/**
 * A bus over a server that comes and goes, one session after the other: see {@link keepSession}. Nothing is queued while
 * it is down.
 *
 * @example
 * const natsBus = ({ url }) => sessionBus({ where: "nats bus", open: (events) => connect(url, events) });
 */
export function sessionBus({ open, onError, ...name }: SessionBusOptions): Bus {
  const { where } = name;
  const kept = keepSession({ ...name, open, heard, onError });
  const { report } = kept;
  const listeners = keepListeners({ kept });
  let onTheWay: OnTheWay = newWay(undefined);
  let told = Number.NEGATIVE_INFINITY;
  let closed: Promise<void> | undefined;

  function heard(channel: string, text: string): void {
    if (!listeners.has(channel)) return;
    let announcement: Announcement;
    try {
      announcement = decodeAnnouncement(text);
    } catch (cause) {
      const detail = `what came for channel ${JSON.stringify(channel)} is no announcement`;
      report(new TidingsError("invalid", detail, { where, cause }), "message");
      return;
    }
    listeners.tell(channel, announcement);
  }

  function send(session: Session, channel: string, announcement: Announcement): void {
    if (onTheWay.session !== session) onTheWay = newWay(session);
    const way = onTheWay;
    let body = Buffer.from(encodeAnnouncement(announcement));
    if (body.length > session.maxBytes) {
      body = Buffer.from(encodeAnnouncement({ cursor: announcement.cursor }));
    }
    if (way.bytes + body.length > MAX_ON_THE_WAY_BYTES) {
      const slow = new Error("it is too slow; announcements are dropped");
      if (!way.isFull) report(unreachable(name, slow), "publish");
      way.isFull = true;
      return;
    }
    way.bytes += body.length;
    session
      .publish(channel, body)
      .catch((error: unknown) => {
        if (session !== kept.live || performance.now() < told + TOLD_EVERY_MS) return;
        told = performance.now();
        report(error, "publish");
      })
      .finally(() => {
        way.bytes -= body.length;
        if (way.bytes > 0) return;
        way.isFull = false;
        way.drained();
      });
  }

  async function close(): Promise<void> {
    const way = onTheWay;
    if (way.bytes > 0 && way.session === kept.live) {
      const { promise, resolve } = Promise.withResolvers<void>();
      way.drained = resolve;
      await within(DRAIN_WITHIN_MS, promise);
    }
    await kept.close();
    listeners.clear();
  }

  return {
    async publish(channel, announcement) {
      // Before the first connection there is something to wait for; later, what is down stays silent.
      if (!kept.live) await kept.firstAttempt;
      if (kept.live && !closed) send(kept.live, channel, announcement);
    },

    async subscribe(channel, listener) {
      if (closed) throw new TidingsError("closed", `the ${where} has been closed`, { where });
      return listeners.add(channel, listener);
    },

    onStatus: kept.onStatus,

    close() {
      closed ??= close();
      return closed;
    },
  };
}

function newWay(session: Session | undefined): OnTheWay {
  return { session, bytes: 0, drained: () => {}, isFull: false };
}
