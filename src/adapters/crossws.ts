import type { IncomingMessage } from "node:http";
import type { Admitted, Connection, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { placeOf } from "./paths.ts";
import { EXPELLED_MS, EXPELS } from "./patience.ts";
import { askNoneOnBun, askNoneOnNode } from "./subprotocols.ts";

/** What is used of crossws's `Peer`. */
export interface CrosswsPeer {
  readonly context: Readonly<Record<string, unknown>>;
  readonly bufferedAmount?: number;
  readonly websocket?: { readonly bufferedAmount?: number };
  send(text: string): unknown;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** What is used of `ws`, which crossws has on Node. */
interface NodeSocket {
  on(event: "ping" | "pong", listener: () => void): unknown;
  pause(): void;
}

/** The answer that lets a reader in. */
export interface CrosswsUpgrade {
  readonly context: Record<string, unknown>;
  readonly headers?: HeadersInit;
}

/** Hooks as crossws takes them. */
export interface CrosswsHooks {
  /** Of the request, crossws 0.3 has `url` and `headers` alone. */
  upgrade(request: Pick<Request, "url" | "headers">): Promise<Response | CrosswsUpgrade>;
  open(peer: CrosswsPeer): void;
  message(peer: CrosswsPeer, message: { uint8Array(): Uint8Array }): void;
  drain(peer: CrosswsPeer): void;
  close(peer: CrosswsPeer): void;
  error(peer: CrosswsPeer): void;
  ping(peer: CrosswsPeer): void;
  pong(peer: CrosswsPeer): void;
}

/** crossws tells of no handshake that failed: what is not open by then gives its place back. */
const OPENS_MS = 10_000;

export interface CrosswsAdapterOptions {
  /**
   * The reader's address, for the limit per address. Default: the request's `ip`, which srvx (of h3 2 and Nitro 3) sets.
   * crossws 0.3, which Nuxt 4 has, gives a request's `url` and `headers` alone: take it from a header of the proxy in front.
   */
  readonly addressOf?: (request: Request) => string | undefined;
  /** The host that was asked, for the check of origins. Default: the `Host` header. */
  readonly hostOf?: (request: Request) => string | undefined;
  /** Before the path, when the site lives below one: `"/live"`. */
  readonly base?: string;
}

/**
 * The hooks of crossws for `/ws/channel/<channel id>/`; upgrades to other paths get 404. Pings, and the size up to which
 * a message is taken in before it is refused, are crossws's own: on Node give it `serverOptions: { maxPayload: 4096 }`.
 * There `ws` takes what comes after a reader's own close, and throws it away, for half a minute. Where crossws tells of no pings
 * and pongs (it does on Node, Bun and uWebSockets.js), these are not counted: a stranger may send them without end.
 *
 * @example
 * // h3
 * app.get("/ws/channel/**", defineWebSocketHandler(crosswsWebSocket(hub)));
 *
 * @example
 * // Nitro and Nuxt, with `experimental.websocket`: server/routes/ws/channel/[...].ts
 * export default defineWebSocketHandler(crosswsWebSocket(hub));
 *
 * @example
 * // crossws itself
 * const ws = nodeAdapter({ hooks: crosswsWebSocket(hub), serverOptions: { maxPayload: 4096 } });
 * server.on("upgrade", ws.handleUpgrade);
 */
export function crosswsWebSocket(hub: Hub, options: CrosswsAdapterOptions = {}): CrosswsHooks {
  const {
    addressOf = (request) => (request as { ip?: string }).ip,
    hostOf = (request) => request.headers.get("host") ?? undefined,
    base = "",
  } = options;
  const readers = new WeakMap<CrosswsPeer, Reader>();

  return {
    async upgrade(given) {
      const request = given as Request;
      const { pathname, search } = new URL(request.url);
      const place = placeOf(pathname + search, base);
      if (!place) return new Response("no such path", { status: 404 });
      const answer = await hub.admit({
        ...place,
        origin: request.headers.get("origin") ?? undefined,
        host: hostOf(request),
        address: addressOf(request),
        transport,
      });
      if ("status" in answer) {
        const { status, reason, retryAfter } = answer;
        const headers = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
        return new Response(reason, { status, headers });
      }
      // crossws 0.4 sees to that on Node, 0.3 has `ws` answer from its own request.
      const { _req: ofNode } = request as { _req?: IncomingMessage };
      if (ofNode) askNoneOnNode(ofNode);
      askNoneOnBun(request);
      const context = { [ENTERING]: entering(answer) };
      // crossws 0.3 takes none from the answer: a peer has the request's.
      const { context: ofRequest } = request as { context?: Record<string, unknown> };
      if (ofRequest) Object.assign(ofRequest, context);
      return { context };
    },

    open(peer) {
      const answer = (peer.context[ENTERING] as Entering).take();
      if (!answer) return peer.close(1011, "the handshake took too long");
      const reader = answer.open(connectionOf(peer));
      readers.set(peer, reader);
      const count = () => reader.message(0);
      const socket = onNode(peer);
      socket?.on("ping", count);
      socket?.on("pong", count);
    },
    message(peer, message) {
      readers.get(peer)?.message(message.uint8Array().byteLength);
    },
    drain(peer) {
      readers.get(peer)?.drained();
    },
    close(peer) {
      readers.get(peer)?.closed();
      readers.delete(peer);
    },
    /** What it sent is malformed, or too large: the runtime has sent the code. */
    error: expel,
    ping: countControl,
    pong: countControl,
  };

  /** Of pings and pongs crossws tells on Bun, but on Node not of all: there its socket does. Its own are few. */
  function countControl(peer: CrosswsPeer): void {
    if (!onNode(peer)) readers.get(peer)?.message(0);
  }
}

function onNode({ websocket }: CrosswsPeer): NodeSocket | undefined {
  return websocket && "on" in websocket ? (websocket as unknown as NodeSocket) : undefined;
}

/** Who sends what it may not has a moment to read the code: it may never answer the close. It is not read from any more. */
function expel(peer: CrosswsPeer): void {
  const socket = onNode(peer);
  socket?.pause();
  setImmediate(() => socket?.pause()); // again, for `ws` itself resumes after an error
  setTimeout(() => peer.terminate(), EXPELLED_MS).unref();
}

/** Where a peer's context has its {@link Entering}. */
const ENTERING = "tidings";

/** A reader between admission and open. */
interface Entering {
  /** Its place, once; `null` when it was given back. */
  take(): Admitted<string> | null;
}

function entering(answer: Admitted<string>): Entering {
  let place: Admitted<string> | null = answer;
  const timer = setTimeout(() => {
    place = null;
    answer.cancel();
  }, OPENS_MS);
  return {
    take() {
      clearTimeout(timer);
      return place;
    },
  };
}

/** Text, for crossws sends what is no string as binary. */
const transport: Transport<string> = { encode: (text) => text };

function connectionOf(peer: CrosswsPeer): Connection<string> {
  return {
    send(text) {
      peer.send(text);
    },
    close(code, reason) {
      peer.close(code, reason);
      if (EXPELS.has(code)) expel(peer);
    },
    get bufferedAmount() {
      return peer.bufferedAmount ?? peer.websocket?.bufferedAmount ?? 0; // crossws 0.3 has it on the socket alone
    },
  };
}
