import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { placeOf } from "./paths.ts";
import { acceptor, ignore, onUpgrade } from "./upgrades.ts";
import { wsTransport } from "./ws-frames.ts";

const MAX_HEADER_WAIT_MS = 10_000;

export interface NodeAdapterOptions {
  /** The reader's address, for limits. Default: the socket's. */
  readonly addressOf?: (request: IncomingMessage) => string | undefined;
  /** The host that was asked, for the check of origins. Default: the `Host` header. */
  readonly hostOf?: (request: IncomingMessage) => string | undefined;
  /** Before the path, when the site lives below one: `"/live"`. */
  readonly base?: string;
  /** How frames travel to a reader: for those that know other frames than PROTOCOL.md's. An empty one is not sent. */
  readonly transportOf?: ((request: IncomingMessage) => Transport<Buffer>) | undefined;
}

/**
 * Serves `/ws/channel/<channel id>/` on any `http.Server` or `https.Server`, and hence on Express, Koa, NestJS …
 * Upgrades to other paths are left to the server's other handlers; where there is none, they get 404.
 * Returns what takes the handler off again and cuts off who is still connected: call it after `hub.close()`,
 * which sends readers away kindly.
 *
 * Node takes any request that offers an upgrade for one, also an ordinary one that offers `h2c` (`curl --http2`, Java's
 * `HttpClient`), which gets 404 therefore. From Node 24.9 on, a server can be told to answer it, as in the second example.
 *
 * @example
 * const server = http.createServer(app);
 * attachWebSocket(server, createHub({ log, bus }));
 * server.listen(8765);
 *
 * @example
 * const shouldUpgradeCallback = ({ headers }) => headers.upgrade?.toLowerCase() === "websocket";
 * const server = http.createServer({ shouldUpgradeCallback }, app);
 */
export function attachWebSocket(server: Server, hub: Hub, options: NodeAdapterOptions = {}): () => void {
  const {
    addressOf = (request) => request.socket.remoteAddress,
    hostOf = (request) => request.headers.host,
    base = "",
    transportOf = () => wsTransport,
  } = options;
  const { accept, terminate } = acceptor();

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // While the log is asked the reader may leave: without a listener that would end the process.
    socket.on("error", ignore);
    const answer = await hub.admit({
      ...placeOf(request.url ?? "", base)!,
      origin: request.headers.origin,
      host: hostOf(request),
      address: addressOf(request),
      transport: transportOf(request),
    });
    if ("status" in answer) refuse(socket, answer.status, answer.reason, answer.retryAfter);
    else accept(answer, request, socket, head);
  }

  const detach = onUpgrade(
    server,
    base,
    (request, socket, head) => {
      upgrade(request, socket, head).catch(() => socket.destroy());
    },
    (_request, socket) => refuse(socket, 404, "no such path: pages are at /ws/channel/<channel id>/"),
  );
  return () => {
    detach();
    terminate();
  };
}

function refuse(socket: Duplex, status: number, reason: string, retryAfter?: number): void {
  const retry = retryAfter === undefined ? "" : `Retry-After: ${retryAfter}\r\n`;
  socket.once("finish", () => socket.destroy());
  socket.on("error", ignore);
  setTimeout(() => socket.destroy(), MAX_HEADER_WAIT_MS).unref();
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\nConnection: close\r\n${retry}` +
      `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`,
  );
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
  503: "Service Unavailable",
};
