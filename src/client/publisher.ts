import type { Cursor, Frame } from "../protocol.ts";
import { backoff } from "./backoff.ts";
import { LivePage } from "./page.ts";
import type { LiveUpdate } from "./posts.ts";

/**
 * How a page stands to its server; also in `#live-posts[data-live-state]`.
 *
 * - `connecting`: a connection is being made, or the page is catching up after a `reset`
 * - `live`: what is published is shown at once
 * - `waiting`: between two attempts, or let go while the page is not looked at
 * - `offline`: the browser has no network, the page is gone, or it was closed
 */
export type LiveState = "connecting" | "live" | "waiting" | "offline";

export interface PublisherOptions {
  /** The list of posts, or a selector of it. Default `#live-posts`. */
  readonly target?: HTMLElement | string | undefined;
  /** Default: `data-channel-id` of the list, else the global `channelID`. */
  readonly channelId?: string | undefined;
  /** Where the page's own HTML is fetched from when the server cannot tell what was missed. Default: this page. */
  readonly pageUrl?: string | undefined;
  /** Whether a `baseURL` without scheme means `wss:`. Default: on an https page, or if the global
   *  `useSecureWsConnection` says so. */
  readonly secure?: boolean | undefined;
  /** Milliseconds out of sight after which the connection is let go, until the page is seen again. Default 5 minutes. */
  readonly hiddenAfter?: number | undefined;
  /** Called after posts were shown, changed or taken away. */
  readonly onUpdate?: ((update: LiveUpdate) => void) | undefined;
  readonly onState?: ((state: LiveState) => void) | undefined;
}

/** What a connection reports. They need no `this`, and do nothing once the connection was left. */
export interface ConnectionEvents {
  /** It is open. Optional: else its first message says so. */
  readonly opened: () => void;
  /** A text message came. */
  readonly receive: (text: unknown) => void;
  /** It failed, or was closed by the other side. May be called more than once. */
  readonly lost: () => void;
}

/** The URL of a page on a server, for one of its transports. */
export type UrlFor = (transport: "ws" | "sse" | "updates", cursor: Cursor | null) => string;

declare const channelID: string | undefined;
declare const useSecureWsConnection: boolean | undefined;

const SILENCE_MS = 60_000;
const STEADY_MS = 10_000;

/**
 * Follows a live page and shows what is published on it. For a transport of your own, extend it with the
 * three `initialize…` methods; resuming, reconnecting, catching up and exactly-once are done here.
 *
 * @example
 * class LibraryPublisher extends WebsocketPublisher {
 *   initializeWebsocketConnection() {
 *     this.websocket = new LibrarySocket(this.url); // anything with close()
 *   }
 *   initializeOnMessageEvent({ receive }) {
 *     this.websocket.on("message", receive);
 *   }
 *   initializeOnErrorEvent({ lost }) {
 *     this.websocket.on("close", lost);
 *   }
 * }
 * new LibraryPublisher("localhost:8765").start();
 */
export abstract class WebsocketPublisher {
  /** `host:port`, or a URL with any of the schemes `ws:`, `wss:`, `http:`, `https:`. */
  readonly baseURL: string;
  /** What `initializeWebsocketConnection` opened: closed when the connection is left. */
  protected websocket: { close(): void } | undefined;
  readonly #options: PublisherOptions;
  #list!: HTMLElement;
  #page!: LivePage;
  #listeners: AbortController | undefined;
  #connection: ConnectionEvents | undefined;
  #state: LiveState = "offline";
  #attempts = 0;
  #retry: readonly [minMs: number, maxMs: number] | undefined;
  #paused = false;
  /** A connection was left since the page was last known to be up to date. */
  #isBack = false;
  #heardAt = 0;
  // Connected: the end of patience with a silent server. Else: the next attempt.
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(baseURL: string, options: PublisherOptions = {}) {
    this.baseURL = baseURL;
    this.#options = options;
  }

  /** Opens a connection to `this.url` and keeps it in `this.websocket`. Called anew for each connection. */
  abstract initializeWebsocketConnection(connection: ConnectionEvents): void;
  /** Has `connection.receive` called with each message. */
  abstract initializeOnMessageEvent(connection: ConnectionEvents): void;
  /** Has `connection.lost` called when the connection fails or ends. */
  abstract initializeOnErrorEvent(connection: ConnectionEvents): void;

  get state(): LiveState {
    return this.#state;
  }

  /** Where the page is in its history; `null` before {@link start}, or when that is not known. */
  get cursor(): Cursor | null {
    return this.#page?.cursor ?? null;
  }

  /** The page's name. */
  get channelId(): string {
    const { channelId = this.#list?.dataset.channelId } = this.#options;
    const id = channelId ?? (typeof channelID === "undefined" ? undefined : channelID);
    if (!id) throw new Error("[tidings] [client] no channel id: give #live-posts a data-channel-id");
    return id;
  }

  /** The URL to connect to, from the cursor that the page has now. */
  get url(): string {
    return this.urlFor("ws", this.cursor);
  }

  protected urlFor(...[transport, cursor]: Parameters<UrlFor>): string {
    const { baseURL } = this;
    const secure =
      location.protocol === "https:" ||
      (typeof useSecureWsConnection !== "undefined" && useSecureWsConnection);
    const base = baseURL.includes("://")
      ? baseURL.replace(/^http/, "ws").replace(/\/$/, "")
      : `${(this.#options.secure ?? secure) ? "wss" : "ws"}://${baseURL}`;
    // Also when it is empty: so a server tells us from a client of Wagtail Live, which knows no cursors.
    const url = `${base}/${transport}/channel/${encodeURIComponent(this.channelId)}/?cursor=${encodeURIComponent(cursor ?? "")}`;
    return transport === "ws" ? url : url.replace(/^ws/, "http");
  }

  /** Starts to follow the page, once. Throws when it has no list of posts or no channel id, or when `pageUrl` is no URL. */
  start(): void {
    if (this.#listeners) return;
    const { target = "#live-posts", pageUrl, onUpdate } = this.#options;
    const list = typeof target === "string" ? document.querySelector<HTMLElement>(target) : target;
    if (!list) throw new Error(`[tidings] [client] no ${target} on this page`);
    if (pageUrl && !URL.canParse(pageUrl, location.href))
      throw new Error(`[tidings] [client] pageUrl ${pageUrl}: not a URL`);
    this.#list = list;
    this.#page = new LivePage(list, () => pageUrl ?? location.href, {
      onUpdate: (update) => notify(onUpdate, update),
      onSynced: () => this.#setState("live"),
      onGone: () => this.close(),
      onFailed: (error) => {
        notify(fail, error);
        this.#connection?.lost();
      },
      onDoubt: () => this.#connection?.lost(),
    });
    // Throws now, rather than at each attempt.
    void this.channelId;
    this.#listen();
    this.#open();
  }

  /** Stops following the page, which stays as it is. {@link start} goes on from there. */
  close(): void {
    if (!this.#listeners) return;
    this.#listeners.abort();
    this.#listeners = undefined;
    clearTimeout(this.#hiddenTimer);
    this.#leave();
    this.#setState("offline");
  }

  /** Whether connections are joined with the page's cursor, when it has one. */
  protected get sendsCursor(): boolean {
    return true;
  }

  /** How long a page out of sight keeps its connection, in milliseconds, when it was not told. */
  protected get hiddenAfter(): number {
    return 300_000;
  }

  /** Leaves the connection for one that was opened from `cursor`, at once. */
  protected reconnect(cursor: Cursor | null): void {
    if (this.#listeners) this.#open(cursor);
  }

  #listen(): void {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const seen = () => {
      clearTimeout(this.#hiddenTimer);
      this.#paused = false;
      // Timers stand still while the machine sleeps: the clock knows better how long it was silent.
      const isSilent = this.cursor && Date.now() - this.#heardAt >= SILENCE_MS;
      if (this.#connection && !isSilent) return;
      this.#attempts = 0;
      this.#open();
    };
    const pause = () => {
      this.#paused = true;
      this.#leave();
      this.#setState("waiting");
    };
    const hidden = () => {
      clearTimeout(this.#hiddenTimer);
      this.#hiddenTimer = setTimeout(pause, this.#options.hiddenAfter ?? this.hiddenAfter);
    };
    const network = () => {
      if (this.#paused) return;
      this.#attempts = 0;
      this.#openIn(backoff(0));
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? hidden() : seen()), { signal });
    // A page with an open socket may be kept out of the back/forward cache; and there it would go deaf unseen.
    addEventListener("pagehide", pause, { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && seen(), { signal });
    addEventListener("online", network, { signal });
    addEventListener("offline", network, { signal });
    if (document.hidden) hidden();
  }

  /** @param moved Where another connection, that takes over, was opened from. */
  #open(moved?: Cursor | null): void {
    this.#leave();
    if (moved === undefined) this.#setState("connecting");
    this.#page.join(moved ?? this.cursor);
    let openedAt = Number.POSITIVE_INFINITY;
    const isHeld = () => this.#connection === connection;
    const catchUp = () => {
      if (!this.#isBack) return;
      this.#isBack = false;
      const { sendsCursor } = this;
      // The server was not told where the page is, and cannot send what it missed.
      if (!this.cursor || !sendsCursor) this.#page.resync(undefined, sendsCursor);
    };
    const heard = () => {
      this.#heardAt = Date.now();
      clearTimeout(this.#timer);
      // Only a server that numbers its updates is known to send heartbeats.
      if (this.cursor) this.#timer = setTimeout(connection.lost, SILENCE_MS);
      this.#setState(this.#page.isResyncing ? "connecting" : "live");
    };
    const connection: ConnectionEvents = {
      opened: () => {
        if (!isHeld()) return;
        openedAt = Date.now();
        catchUp();
        heard();
      },
      receive: (text) => {
        const frame = isHeld() && parseFrame(text);
        if (!frame) return;
        if (Array.isArray(frame.retry) && frame.retry.every(Number.isFinite)) this.#retry = frame.retry;
        catchUp();
        this.#page.take(frame);
        // Taking it may have ended the connection (a change that fails).
        if (!isHeld()) return;
        if (frame.cursor) this.#attempts = 0;
        heard();
      },
      lost: () => {
        if (!isHeld()) return;
        if (Date.now() - openedAt >= STEADY_MS) this.#attempts = 0;
        const [min, max] = this.#retry ?? [Number.NaN, 0];
        const ms = min + Math.random() * (max - min);
        // What is no time, or longer than an hour, is no server's word.
        this.#openIn(ms < 3_600_000 ? ms : backoff(this.#attempts++));
      },
    };
    this.#connection = connection;
    this.#heardAt = Date.now();
    this.#timer = setTimeout(connection.lost, SILENCE_MS);
    try {
      this.initializeWebsocketConnection(connection);
      this.initializeOnMessageEvent(connection);
      this.initializeOnErrorEvent(connection);
    } catch (error) {
      notify(fail, error);
      connection.lost();
    }
  }

  #openIn(ms: number): void {
    this.#leave();
    this.#retry = undefined;
    this.#setState("waiting");
    this.#timer = setTimeout(() => this.#open(), ms);
  }

  #leave(): void {
    const { websocket } = this;
    clearTimeout(this.#timer);
    if (this.#connection) this.#isBack = true;
    this.#connection = this.websocket = undefined;
    this.#page.leave();
    try {
      websocket?.close();
    } catch {
      // It was no longer there to be closed.
    }
  }

  #setState(wanted: LiveState): void {
    const state = navigator.onLine || wanted === "live" ? wanted : "offline";
    this.#list.dataset.liveState = state;
    if (state === this.#state) return;
    this.#state = state;
    notify(this.#options.onState, state);
  }
}

/** Calls back by itself: what is thrown there is reported, and breaks nothing here. */
function notify<T>(callback: ((value: T) => void) | undefined, value: T): void {
  queueMicrotask(() => callback?.(value));
}

function fail(error: unknown): never {
  throw error;
}

/** A message as a frame; `undefined` when it is none. */
function parseFrame(text: unknown): Frame | undefined {
  try {
    const frame: Frame = JSON.parse(text as string);
    const renders = Object.values(frame.renders);
    if (renders.every(({ content }) => typeof content === "string") && Array.isArray(frame.removals))
      return frame;
  } catch {
    // A message from someone else's code: the page goes on.
  }
  return undefined;
}
