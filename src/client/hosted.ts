/** Follows a live page through a hosted service, which brings its updates and knows nothing of its history. */
import { type Cursor, type Frame, formatCursor, parseCursor } from "../protocol.ts";
import { backoff } from "./backoff.ts";
import { pieSocketRoom, pusherChannel } from "./hosted-channels.ts";
import { type ConnectionEvents, type PublisherOptions, WebsocketPublisher } from "./publisher.ts";

/** After so long without news a page asks whether there are any (and half as long again, drawn evenly): services lose
 *  messages, also the last one. Below the silence after which a connection is taken for dead. */
const CHECK_MS = 30_000;
/** How often the server is asked for a frame that the service has brought. */
const ATTEMPTS = 6;
/** How much later than by asking a service may bring an update: else its connection is dead. */
const PROOF_MS = 10_000;

export interface HostedPublisherOptions extends PublisherOptions {
  /**
   * Where the service's sockets are, with `ws://` before it if they are not secure. Pusher: `ws-<cluster>.pusher.com`;
   * PieSocket: `<cluster>.piesocket.com/v3/`.
   */
  readonly service: string;
  /** The key of the site at the service: the public one. */
  readonly key: string;
}

/** What a connection to a service tells. They need no `this`. */
export interface ServiceEvents {
  /** From now on the service brings what is published. */
  readonly joined: () => void;
  /** The text of a frame came. */
  readonly take: (text: string) => void;
}

/**
 * Follows a live page through a hosted service. For a service of your own, extend it with `join`: what the service loses,
 * brings twice or in another order is made up for here.
 *
 * @example
 * class MyServicePublisher extends HostedWebsocketPublisher {
 *   join({ joined, take }) {
 *     const socket = new WebSocket(`${this.service}/${this.channelId}?key=${this.key}`);
 *     socket.onopen = joined;
 *     socket.onmessage = ({ data }) => take(data);
 *     return socket;
 *   }
 * }
 */
export abstract class HostedWebsocketPublisher extends WebsocketPublisher {
  protected readonly service: string;
  protected readonly key: string;
  #isJoined = true;
  /** When to ask the server although the service cannot be joined. */
  #askAt = 0;

  /**
   * @param baseURL the Tidings server, `host:port` or a URL: it is asked for what the service did not bring
   *   (`/updates/channel/<channel id>/`)
   */
  constructor(baseURL: string, { service, key, ...options }: HostedPublisherOptions) {
    super(baseURL, options);
    this.service = service.includes("://") ? service.replace(/^http/, "ws") : `wss://${service}`;
    this.key = key;
  }

  /** Opens a socket to the service, and tells what comes over it. */
  protected abstract join(events: ServiceEvents): WebSocket;

  override initializeWebsocketConnection(connection: ConnectionEvents): void {
    const page = follow((cursor) => this.urlFor("updates", cursor), this.cursor, connection);
    const now = Date.now();
    const isAway = !this.#isJoined && now >= this.#askAt;
    // Pages that the service has left together must not ask together.
    if (this.#isJoined) this.#askAt = now + CHECK_MS * Math.random();
    else if (isAway) this.#askAt = now + CHECK_MS * (1 + Math.random() / 2);
    this.#isJoined = false;
    const asking = isAway && page.ask();
    const socket = this.join({
      joined: () => {
        this.#isJoined = true;
        page.joined();
      },
      take: page.take,
    });
    socket.addEventListener("close", async () => {
      // The answer is for this connection, though it came to nothing.
      await asking;
      connection.lost();
    });
    this.websocket = {
      close() {
        page.leave();
        socket.close();
      },
    };
  }

  override initializeOnMessageEvent(): void {}

  override initializeOnErrorEvent(): void {}
}

/**
 * Follows a live page through Pusher Channels, or a server that speaks its protocol (Soketi, Laravel Reverb).
 *
 * @example
 * new PusherWebsocketPublisher("live.example", { service: "ws-eu.pusher.com", key: "278d425bdf160c739803" }).start();
 */
export class PusherWebsocketPublisher extends HostedWebsocketPublisher {
  protected override join({ joined, take }: ServiceEvents): WebSocket {
    const channel = pusherChannel(this.channelId);
    const base = this.service.replace(/\/$/, "");
    const socket = new WebSocket(
      `${base}/app/${encodeURIComponent(this.key)}?protocol=7&client=tidings&version=1`,
    );
    const send = (event: string, data: object) => socket.send(JSON.stringify({ event, data }));
    socket.onmessage = ({ data: text }) => {
      const message = parsed<PusherMessage>(text);
      if (message?.event === "pusher:connection_established") send("pusher:subscribe", { channel });
      else if (message?.event === "pusher:ping") send("pusher:pong", {});
      else if (message?.event === "pusher:error") reportError(new Error(`[tidings] [client] ${text}`));
      else if (message?.channel !== channel) return;
      else if (message.event === "pusher_internal:subscription_succeeded") joined();
      else if (message.event === "update" && typeof message.data === "string") take(message.data);
    };
    return socket;
  }
}

interface PusherMessage {
  readonly event?: string;
  readonly channel?: string;
  readonly data?: unknown;
}

/**
 * Follows a live page through PieSocket.
 *
 * @example
 * const service = "us-nyc-1.piesocket.com/v3/";
 * new PieSocketWebsocketPublisher("live.example", { service, key: "api-key" }).start();
 */
export class PieSocketWebsocketPublisher extends HostedWebsocketPublisher {
  protected override join({ joined, take }: ServiceEvents): WebSocket {
    const base = this.service.replace(/\/?$/, "/");
    const socket = new WebSocket(
      `${base}${pieSocketRoom(this.channelId)}?api_key=${encodeURIComponent(this.key)}`,
    );
    socket.onopen = joined;
    socket.onmessage = ({ data }) => take(data);
    return socket;
  }
}

/**
 * Passes on the frames that follow one another. For all else (what was published before the service was joined, what it
 * lost, what was too large for it, another epoch) it asks the server, from the cursor it has.
 */
function follow(
  urlAfter: (cursor: Cursor) => string,
  start: Cursor | null,
  { opened, receive, lost }: ConnectionEvents,
): ServiceEvents & { ask(): Promise<void>; leave(): void } {
  const abort = new AbortController();
  const { signal } = abort;
  /** Where this connection has brought the page. */
  let last = parseCursor(start);
  /** The number of the newest frame that does not follow, until the server has made up for it. */
  let wanted = 0;
  let attempts = 0;
  let isAsking = false;
  let isAnswered = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let proof: ReturnType<typeof setTimeout> | undefined;

  const askIn = (ms: number) => {
    clearTimeout(timer);
    if (!signal.aborted && last) timer = setTimeout(ask, ms);
  };
  const checkLater = () => askIn(CHECK_MS * (1 + Math.random() / 2));
  /** Pages that miss the same must not ask together: within 2 s at first. */
  const askAgain = () => askIn(backoff(2 + attempts++));

  async function ask(): Promise<void> {
    if (isAsking || !last) return;
    isAsking = true;
    const from = last;
    const isCheck = isAnswered && !wanted;
    const answer = await fetch(urlAfter(formatCursor(from.epoch, from.seq)), { signal, cache: "no-cache" })
      .then((response) => (response.ok ? response.text() : undefined))
      .catch(() => undefined);
    isAsking = false;
    if (signal.aborted) return;
    const frame = parsed<Frame>(answer);
    const cursor = parseCursor(frame?.cursor);
    // What came meanwhile may have made it the answer to another question.
    if (!frame || !cursor || (last !== from && cursor.epoch !== last!.epoch)) return askAgain();
    const isNews = cursor.seq > last!.seq;
    if (isNews || frame.reset) last = cursor;
    receive(answer);
    // What the server has never heard of (a history that was taken back) is not waited for.
    if (cursor.seq < wanted && !frame.reset && attempts < ATTEMPTS) return askAgain();
    wanted = attempts = 0;
    isAnswered = true;
    if (isCheck && isNews) proof ??= setTimeout(lost, PROOF_MS);
    checkLater();
  }

  return {
    ask,
    joined() {
      opened();
      askIn(0);
    },
    take(text) {
      clearTimeout(proof);
      proof = undefined;
      const frame = parsed<Frame>(text);
      const cursor = parseCursor(frame?.cursor);
      if (cursor && last) {
        const isSame = cursor.epoch === last.epoch;
        if (isSame && cursor.seq <= last.seq) return;
        if (frame!.reset || !isSame || cursor.seq > last.seq + 1) {
          if (!wanted) askAgain();
          wanted = Math.max(wanted, cursor.seq);
          return;
        }
      }
      receive(text);
      if (!cursor) return;
      last = cursor;
      if (!wanted) checkLater();
    },
    leave() {
      abort.abort();
      clearTimeout(timer);
      clearTimeout(proof);
    },
  };
}

function parsed<T>(text: unknown): T | undefined {
  try {
    return JSON.parse(text as string) ?? undefined;
  } catch {
    return undefined;
  }
}
