import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import type { Connection, Encode } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";

const PATH = /^\/ws\/channel\/([^/?]+)\/$/;
const MAX_MESSAGE_BYTES = 4096;
/** A reader that answers no ping for two of these is gone. */
const PING_MS = 30_000;
const MAX_HEADER_WAIT_MS = 10_000;

export interface NodeAdapterOptions {
  /** The reader's address, for limits. Default: the socket's. */
  readonly addressOf?: (request: IncomingMessage) => string | undefined;
  /** The host that was asked, for the check of origins. Default: the `Host` header. */
  readonly hostOf?: (request: IncomingMessage) => string | undefined;
  /** Before the path, when the site lives below one: `"/live"`. */
  readonly base?: string;
}

/**
 * Serves `/ws/channel/<channel id>/` on any `http.Server` or `https.Server`, and hence on Express, Koa, NestJS …
 * Upgrades to other paths are left to the server's other handlers; where there is none, they get 404.
 * Returns what takes the handler off again and cuts off who is still connected: call it after `hub.close()`,
 * which sends readers away kindly.
 *
 * @example
 * const server = http.createServer(app);
 * attachWebSocket(server, createHub({ log, bus }));
 * server.listen(8765);
 */
export function attachWebSocket(server: Server, hub: Hub, options: NodeAdapterOptions = {}): () => void {
  const {
    addressOf = (request) => request.socket.remoteAddress,
    hostOf = (request) => request.headers.host,
    base = "",
  } = options;
  const sockets = new Set<{ socket: WebSocket; alive: boolean }>();
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  } satisfies ServerOptions);

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = request.url ?? "";
    const [path = "", query = ""] = url.split("?", 2);
    const match = path.startsWith(base) ? PATH.exec(path.slice(base.length)) : null;
    if (!match) {
      // Another handler may want it; it runs after or before this one, and nobody else answers a lone 404.
      if (server.listenerCount("upgrade") === 1) refuse(socket, 404, "no such path");
      return;
    }
    // While the log is asked the reader may leave: without a listener that would end the process.
    const ignore = () => {};
    socket.on("error", ignore);
    const channel = decode(match[1]!);
    const answer = await hub.admit({
      channel: channel ?? "",
      cursor: new URLSearchParams(query).get("cursor"),
      origin: request.headers.origin,
      host: hostOf(request),
      address: addressOf(request),
      encode,
    });
    if ("status" in answer) {
      refuse(socket, answer.status, answer.reason, answer.retryAfter);
      return;
    }
    if (socket.destroyed || !socket.readable) {
      answer.cancel();
      socket.destroy();
      return;
    }
    let opened = false;
    // ws answers a malformed handshake itself, and closes the socket.
    socket.once("close", () => opened || answer.cancel());
    wss.handleUpgrade(request, socket, head, (ws) => {
      opened = true;
      socket.removeListener("error", ignore);
      const member = { socket: ws, alive: true };
      sockets.add(member);
      const reader = answer.open(connectionOf(ws, socket));
      ws.on("message", (data: Buffer) => reader.message(data.length));
      ws.on("pong", () => {
        member.alive = true;
      });
      ws.on("error", () => {}); // 'close' follows, and ws has sent the code
      ws.on("close", () => {
        sockets.delete(member);
        reader.closed();
      });
      socket.on("drain", reader.drained);
    });
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(request, socket, head).catch(() => socket.destroy());
  };
  server.on("upgrade", onUpgrade);

  const ping = setInterval(() => {
    for (const member of sockets) {
      if (!member.alive) member.socket.terminate();
      else {
        member.alive = false;
        member.socket.ping();
      }
    }
  }, PING_MS).unref();

  return () => {
    server.off("upgrade", onUpgrade);
    clearInterval(ping);
    for (const { socket } of sockets) socket.terminate();
  };
}

const encode: Encode<Buffer> = (text) => Buffer.from(text);
const TEXT = { binary: false } as const;

function connectionOf(ws: WebSocket, socket: Duplex): Connection<Buffer> {
  return {
    send(frame) {
      if (ws.readyState === ws.OPEN) ws.send(frame, TEXT);
    },
    close(code, reason) {
      ws.close(code, reason);
    },
    get bufferedAmount() {
      return socket.writableLength;
    },
  };
}

/** `null` for what is no percent-encoded UTF-8. */
function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function refuse(socket: Duplex, status: number, reason: string, retryAfter?: number): void {
  const retry = retryAfter === undefined ? "" : `Retry-After: ${retryAfter}\r\n`;
  socket.once("finish", () => socket.destroy());
  socket.on("error", () => {});
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
