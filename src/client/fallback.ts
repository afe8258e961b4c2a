import { type ConnectionEvents, type PublisherOptions, WebsocketPublisher } from "./publisher.ts";
import { TRANSPORTS, type Transport, type TransportName } from "./transports.ts";

export interface FallbackOptions extends PublisherOptions {
  /** What to connect with, best first. Default `["websocket", "sse", "polling"]`. */
  readonly transports?: readonly TransportName[] | undefined;
}

/** A connection that has not opened by then does not work. */
const OPENS_MS = 10_000;
/** Nor one that is open, and has brought nothing for longer than a heartbeat takes. */
const FIRST_FRAME_MS = 40_000;
/** One that lasts for a shorter time than the silence between two heartbeats may have been cut off for it. */
const STEADY_MS = 30_000;
/** How often a transport that has worked may fail in a row before the next one is tried. */
const FAILURES = 2;
/** How soon a better transport is tried again: at first, and at last. */
const CLIMB_MS = 30_000;
const MAX_CLIMB_MS = 300_000;

/** How long a page out of sight keeps a connection that takes the place of others. */
const HIDDEN_MS = 10_000;

/** One connection. Whom it tells changes when one that was tried beside another takes its place. */
interface Attempt {
  events: AttemptEvents;
  close(): void;
}

interface AttemptEvents {
  opened(): void;
  receive(text: unknown): void;
  /** `isFailure`: it did not work, or not for long. */
  lost(isFailure: boolean): void;
}

const UNHEARD: AttemptEvents = { opened() {}, receive() {}, lost() {} };

/**
 * Follows a live page over a WebSocket; where that is blocked, over Server-Sent Events, else by polling; and goes back
 * up when it can. On no move is anything lost or shown twice.
 *
 * @example
 * new FallbackPublisher("live.example", { transports: ["websocket", "polling"] }).start();
 */
export class FallbackPublisher extends WebsocketPublisher {
  readonly #ladder: readonly Transport[];
  #rung = 0;
  /** Failures that the transport in use may still have; `undefined` until it has brought something. */
  #credit: number | undefined;
  #climbMs = CLIMB_MS;
  /** When a better transport is tried, by `performance.now()`: a connection that is let go or cut does not put it off. */
  #climbAt: number | undefined;
  #climbTimer: ReturnType<typeof setTimeout> | undefined;
  /** A better transport, being tried while the one in use goes on. */
  #trial: Attempt | undefined;
  /** The trial that worked: the next connection. */
  #ready: Attempt | undefined;

  constructor(baseURL: string, options: FallbackOptions = {}) {
    super(baseURL, options);
    const { transports = Object.keys(TRANSPORTS) as TransportName[] } = options;
    if (!transports[0] || !transports.every((name) => Object.hasOwn(TRANSPORTS, name))) {
      throw new Error(
        `[tidings] [client] transports [${transports}]: not some of ${Object.keys(TRANSPORTS)}`,
      );
    }
    this.#ladder = transports.map((name) => TRANSPORTS[name]);
  }

  override initializeWebsocketConnection(connection: ConnectionEvents): void {
    const ready = this.#ready;
    this.#ready = undefined;
    const events: AttemptEvents = {
      opened: connection.opened,
      receive: (text) => {
        this.#credit ??= FAILURES;
        if (this.#rung) this.#climbLater();
        else this.#climbMs = CLIMB_MS;
        connection.receive(text);
      },
      lost: (isFailure) => {
        if (!isFailure) this.#credit = FAILURES;
        else if (navigator.onLine && !this.#credit!--) this.#moveTo((this.#rung + 1) % this.#ladder.length);
        connection.lost();
      },
    };
    if (ready) {
      ready.events = events;
      connection.opened();
    }
    const attempt = ready ?? this.#attempt(this.#rung, events);
    this.websocket = {
      close: () => {
        clearTimeout(this.#climbTimer);
        this.#trial?.close();
        this.#trial = undefined;
        attempt.close();
      },
    };
  }

  /** Six streams of a browser to one host over HTTP/1.1, in tabs that nobody sees, would shut out the seventh tab. */
  protected override get hiddenAfter(): number {
    return this.#rung ? HIDDEN_MS : super.hiddenAfter;
  }

  override initializeOnMessageEvent(): void {}

  override initializeOnErrorEvent(): void {}

  #attempt(rung: number, events: AttemptEvents): Attempt {
    const blocked = () => attempt.events.lost(true);
    let openedAt = 0;
    let isPlanned = false;
    let patience = setTimeout(blocked, OPENS_MS);
    let opening: { close(): void } | undefined;
    const attempt: Attempt = {
      events,
      close() {
        clearTimeout(patience);
        attempt.events = UNHEARD;
        opening?.close();
      },
    };
    const opened = () => {
      if (openedAt) return;
      openedAt = Date.now();
      clearTimeout(patience);
      // Only a server that numbers its updates is known to send heartbeats.
      if (this.cursor && this.#ladder.length > 1) patience = setTimeout(blocked, FIRST_FRAME_MS);
      attempt.events.opened();
    };
    const receive = (text: unknown) => {
      opened();
      clearTimeout(patience);
      // The server's word that it ends: by itself, and not for what it is.
      isPlanned ||= `${text}`.includes('"retry":[');
      attempt.events.receive(text);
    };
    const lost = () => {
      const isSteady = openedAt && Date.now() - openedAt >= STEADY_MS;
      attempt.events.lost(!isSteady && !isPlanned);
    };
    try {
      opening = this.#ladder[rung]!((path, at) => this.urlFor(path, at), this.cursor, {
        opened,
        receive,
        lost,
      });
    } catch (error) {
      // Such as a policy of the page: this one is blocked, and its owner should know.
      queueMicrotask(() => {
        blocked();
        throw error;
      });
    }
    return attempt;
  }

  #moveTo(rung: number): void {
    this.#rung = rung;
    this.#credit = this.#climbAt = undefined;
  }

  #climbLater(): void {
    // The next is planned when this one has failed.
    if (this.#trial) return;
    clearTimeout(this.#climbTimer);
    // Readers that fell together must not climb together.
    this.#climbAt ??= performance.now() + this.#climbMs * (0.5 + Math.random());
    this.#climbTimer = setTimeout(() => {
      this.#climbAt = undefined;
      this.#climbMs = Math.min(2 * this.#climbMs, MAX_CLIMB_MS);
      this.#climb(0);
    }, this.#climbAt - performance.now());
  }

  /** Tries a better transport beside the one in use, which goes on until that has brought something. */
  #climb(rung: number): void {
    if (rung === this.#rung) return void this.#climbLater();
    const { cursor } = this;
    const trial = this.#attempt(rung, {
      opened() {},
      receive: (text) => {
        this.#trial = undefined;
        this.#ready = trial;
        this.#moveTo(rung);
        this.reconnect(cursor);
        trial.events.receive(text);
      },
      lost: () => {
        trial.close();
        this.#trial = undefined;
        this.#climb(rung + 1);
      },
    });
    this.#trial = trial;
  }
}
