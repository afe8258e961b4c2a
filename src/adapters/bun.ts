import type { Admitted, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { MAX_MESSAGE_BYTES, placeOf } from "./paths.ts";

/** Bun pings in time, and ends who neither answers nor takes a byte for this long. */
const IDLE_SECONDS = 60;

/** What the adapter uses of Bun's `Server`. */
export interface BunServer {
  upgrade(request: Request, options: { data?: unknown }): boolean;
  requestIP(request: Request): { readonly address: string } | null;
}

/** What the adapter uses of Bun's `ServerWebSocket`. */
export interface BunSocket {
  readonly data: unknown;
  send(text: string): number;
  close(code: number, reason: string): void;
  terminate(): void;
  getBufferedAmount(): number;
}

/** The handlers of `Bun.serve({ websocket })` that readers share with sockets of your own. */
export interface BunSocketHandlers {
  open?(socket: BunSocket): void | Promise<void>;
  message(socket: BunSocket, message: string | Uint8Array): void | Promise<void>;
  drain?(socket: BunSocket): void | Promise<void>;
  close?(socket: BunSocket, code: number, reason: string): void | Promise<void>;
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
        transport,
      });
      if ("status" in answer) return refuse(answer.status, answer.reason, answer.retryAfter);
      if (server.upgrade(request, { data: new Seat(answer) })) return undefined;
      // Bun answers a malformed handshake itself, or the reader has left.
      answer.cancel();
      return refuse(400, "not a handshake");
    },

    websocket: {
      maxPayloadLength: MAX_MESSAGE_BYTES,
      idleTimeout: IDLE_SECONDS,
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
        socket.data.leave();
      },
    } as Required<BunSocketHandlers>,
  };
}

/** A string goes out as a text frame. Bun's own pub/sub would not tell which reader has not taken it. */
const transport: Transport<string> = { encode: (text) => text };

/** What Bun keeps with a reader's socket: tells it from sockets of others. */
class Seat {
  readonly #admitted: Admitted<string>;
  reader: Reader | undefined;
  #left = false;

  constructor(admitted: Admitted<string>) {
    this.#admitted = admitted;
  }

  take(socket: BunSocket): void {
    this.reader = this.#admitted.open({
      send(frame) {
        // 0: it was dropped. A reader must not miss one unknowingly; it comes back with its cursor.
        if (socket.send(frame) === 0) socket.terminate();
      },
      close: (code, reason) => socket.close(code, reason),
      get bufferedAmount() {
        return socket.getBufferedAmount();
      },
    });
    // A hub that is closing sends away at once; Bun tells of it before `open` has returned.
    if (this.#left) this.reader.closed();
  }

  leave(): void {
    this.#left = true;
    this.reader?.closed();
  }
}

function refuse(status: number, reason: string, retryAfter?: number): Response {
  const headers = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
  return new Response(reason, { status, headers: { ...headers, Connection: "close" } });
}
