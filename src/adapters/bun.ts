import type { Admitted, Connection, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { MAX_MESSAGE_BYTES, placeOf } from "./paths.ts";
import { askNoneOnBun } from "./subprotocols.ts";

/** Bun pings in time, and ends who neither answers nor takes a byte for this long. */
const IDLE_SECONDS = 60;
/** Bun's own default, in bytes. What is sent or published to a socket that holds more is dropped. */
const BACKPRESSURE_LIMIT = 16 * 1024 * 1024;
/**
 * Bun does not tell to whom it dropped what was published, so nothing may be: a socket holds the hub's 16 kB at most, the 32
 * frames of up to 16 kB that Bun keeps until it writes, and what is published now, in UTF-16 code units (of 3 bytes at most).
 */
const MAX_PUBLISHED_LENGTH = 1_000_000;
const PUBLISHED_UNDROPPED = 4 * 1024 * 1024;
/** A socket's `readyState`. */
const OPEN = 1;

/** What the adapter uses of Bun's `Server`. */
export interface BunServer {
  upgrade(request: Request, options: { data?: unknown }): boolean;
  requestIP(request: Request): { readonly address: string } | null;
  publish(topic: string, text: string): number;
}

/** What the adapter uses of Bun's `ServerWebSocket`. */
export interface BunSocket {
  readonly data: unknown;
  send(text: string): number;
  close(code: number, reason: string): void;
  terminate(): void;
  readonly readyState: number;
  getBufferedAmount(): number;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  ping(): number;
}

/** The handlers of `Bun.serve({ websocket })` that readers share with sockets of your own. */
export interface BunSocketHandlers {
  open?(socket: BunSocket): void | Promise<void>;
  message(socket: BunSocket, message: string | Uint8Array): void | Promise<void>;
  drain?(socket: BunSocket): void | Promise<void>;
  close?(socket: BunSocket, code: number, reason: string): void | Promise<void>;
  ping?(socket: BunSocket, data: Uint8Array): void | Promise<void>;
  pong?(socket: BunSocket, data: Uint8Array): void | Promise<void>;
}

export type BunFetch = (request: Request, server: BunServer) => BunAnswer | Promise<BunAnswer>;
/** `undefined` where the request was upgraded. */
type BunAnswer = Response | undefined;

export interface BunAdapterOptions {
  /** Answers all other requests, upgrades of your own included. Default: 404. */
  readonly fetch?: BunFetch;
  /** Serves the sockets of your own upgrades. Its settings (`idleTimeout` …) hold for readers, too. */
  readonly websocket?: BunSocketHandlers & Readonly<Record<string, unknown>>;
  /** The reader's address, for limits. Default: the socket's. */
  readonly addressOf?: (request: Request, server: BunServer) => string | undefined;
  /** The host that was asked, for the check of origins. Default: the `Host` header. */
  readonly hostOf?: (request: Request) => string | undefined;
  /** Before the path, when the site lives below one: `"/live"`. */
  readonly base?: string;
}

/**
 * What `Bun.serve` needs to serve `/ws/channel/<channel id>/`. After `hub.close()`, which sends readers away
 * kindly, `server.stop(true)` cuts off who is still connected.
 *
 * @example
 * Bun.serve({ port: 8765, ...bunWebSocket(createHub({ log, bus }), { fetch: app.fetch }) });
 */
export function bunWebSocket(
  hub: Hub,
  options: BunAdapterOptions = {},
): {
  fetch: (request: Request, server: BunServer) => Promise<Response | undefined>;
  websocket: Required<BunSocketHandlers>;
} {
  const {
    fetch = () => new Response("no such path", { status: 404 }),
    websocket: others,
    addressOf = (request, server) => server.requestIP(request)?.address,
    hostOf = (request) => request.headers.get("host") ?? undefined,
    base = "",
  } = options;

  const backpressureLimit = others?.backpressureLimit ?? BACKPRESSURE_LIMIT;
  const canPublish = Number(backpressureLimit) >= PUBLISHED_UNDROPPED;
  const prefix = `tidings ${++adapters} `;
  const transports = new WeakMap<BunServer, Transport<string>>();
  function transportOf(server: BunServer): Transport<string> {
    const known = transports.get(server);
    if (known) return known;
    const transport = canPublish ? publishing(server, prefix) : texts;
    transports.set(server, transport);
    return transport;
  }

  return {
    async fetch(request, server) {
      const { pathname, search } = new URL(request.url);
      const place = placeOf(pathname + search, base);
      if (!place || request.headers.get("upgrade")?.toLowerCase() !== "websocket")
        return fetch(request, server);
      const answer = await hub.admit({
        ...place,
        origin: request.headers.get("origin") ?? undefined,
        host: hostOf(request),
        address: addressOf(request, server),
        transport: transportOf(server),
      });
      if ("status" in answer) return refuse(answer.status, answer.reason, answer.retryAfter);
      askNoneOnBun(request);
      if (server.upgrade(request, { data: new Seat(answer) })) return undefined;
      // Bun answers a malformed handshake itself, or the reader has left.
      answer.cancel();
      return refuse(400, "not a handshake");
    },

    websocket: {
      maxPayloadLength: MAX_MESSAGE_BYTES,
      idleTimeout: IDLE_SECONDS,
      backpressureLimit: BACKPRESSURE_LIMIT,
      ...others,
      open(socket) {
        if (!(socket.data instanceof Seat)) return others?.open?.(socket);
        socket.data.take(socket);
      },
      message(socket, message) {
        if (!(socket.data instanceof Seat)) return others?.message(socket, message);
        socket.data.reader?.message(
          typeof message === "string" ? Buffer.byteLength(message) : message.length,
        );
      },
      drain(socket) {
        if (!(socket.data instanceof Seat)) return others?.drain?.(socket);
        socket.data.reader?.drained();
      },
      close(socket, code, reason) {
        if (!(socket.data instanceof Seat)) return others?.close?.(socket, code, reason);
        socket.data.reader?.closed();
      },
      ping(socket, data) {
        if (!(socket.data instanceof Seat)) return others?.ping?.(socket, data);
        socket.data.reader?.message(0);
      },
      pong(socket, data) {
        if (!(socket.data instanceof Seat)) return others?.pong?.(socket, data);
        socket.data.pong();
      },
    } as Required<BunSocketHandlers>,
  };
}

/** A string goes out as a text frame. */
const texts: Transport<string> = { encode: (text) => text };

/** Topics of one adapter are not another's on the same server, nor the site's own. */
let adapters = 0;

/**
 * Readers at the head of a page are subscribed to a topic of Bun's. It writes what was published to it in one turn of the
 * event loop at the turn's end, in one write a socket; before that, what is sent to a socket goes after it.
 */
function publishing(server: BunServer, prefix: string): Transport<string> {
  return {
    ...texts,
    topics: {
      subscribe: (connection, topic) => (connection as Seat).socket!.subscribe(prefix + topic),
      unsubscribe(connection, topic) {
        const seat = connection as Seat;
        // What is sent makes Bun write first what was published: up to 1.4.0, unsubscribing forgets that.
        seat.ping();
        seat.socket!.unsubscribe(prefix + topic);
      },
      publish(topic, texts) {
        let length = 0;
        for (const text of texts) length += text.length;
        if (length > MAX_PUBLISHED_LENGTH) return false;
        for (const text of texts) server.publish(prefix + topic, text);
        return true;
      },
    },
  };
}

/** What Bun keeps with a reader's socket: tells it from sockets of others. A class, for there is one for each reader. */
class Seat implements Connection<string> {
  /** Until it is taken. */
  #admitted: Admitted<string> | undefined;
  socket: BunSocket | undefined;
  reader: Reader | undefined;
  /** Pings of ours without an answer. Bun's own are so few that their answers may count. */
  #pinged = 0;

  constructor(admitted: Admitted<string>) {
    this.#admitted = admitted;
  }

  take(socket: BunSocket): void {
    const admitted = this.#admitted!;
    this.#admitted = undefined;
    this.socket = socket;
    const reader = admitted.open(this);
    // A hub that is closing sends away at once; Bun tells of it before `open` has returned.
    if (socket.readyState === OPEN) this.reader = reader;
    else reader.closed();
  }

  send(text: string): void {
    // 0: it was dropped. A reader must not miss one unknowingly; it comes back with its cursor.
    if (this.socket!.send(text) === 0) this.socket!.terminate();
  }

  ping(): void {
    this.#pinged++;
    this.socket!.ping();
  }

  pong(): void {
    if (this.#pinged > 0) this.#pinged--;
    else this.reader?.message(0);
  }

  close(code: number, reason: string): void {
    this.socket!.close(code, reason);
  }

  get bufferedAmount(): number {
    return this.socket!.getBufferedAmount();
  }
}

function refuse(status: number, reason: string, retryAfter?: number): Response {
  const headers = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
  return new Response(reason, { status, headers: { ...headers, Connection: "close" } });
}
