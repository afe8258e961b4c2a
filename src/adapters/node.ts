import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import type { Connection, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";

const PATH = /^\/ws\/channel\/([^/?]+)\/$/;
const MAX_MESSAGE_BYTES = 4096;
/** A reader that for two of these neither answers a ping nor takes a byte is gone. */
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
  const paths = pathsOf(server);
  const matches = (path: string) => (path.startsWith(base) ? PATH.exec(path.slice(base.length)) : null);
  const sockets = new Set<Held>();
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  } satisfies ServerOptions);

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = request.url ?? "";
    const [path = "", query = ""] = url.split("?", 2);
    const match = matches(path);
    if (!match) {
      // Another handler may want it. Where there are only ours, the first one answers for all.
      const isOurs = server.listenerCount("upgrade") === paths.size;
      const isFirst = paths.values().next().value === matches;
      if (isOurs && isFirst && ![...paths].some((other) => other(path))) refuse(socket, 404, "no such path");
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
      transport,
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
      const held: Held = { ws, socket: socket as Socket, answered: true, missed: 0, taken: 0 };
      sockets.add(held);
      const reader = answer.open(connectionOf(ws, socket));
      ws.on("message", (data: Buffer) => reader.message(data.length));
      ws.on("pong", () => {
        held.answered = true;
      });
      ws.on("error", () => {}); // 'close' follows, and ws has sent the code
      ws.on("close", () => {
        sockets.delete(held);
        reader.closed();
      });
      socket.on("drain", reader.drained);
    });
  }

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(request, socket, head).catch(() => socket.destroy());
  };
  server.on("upgrade", onUpgrade);

  paths.add(matches);
  const ping = setInterval(() => {
    for (const held of sockets) lookAt(held);
  }, PING_MS).unref();

  return () => {
    server.off("upgrade", onUpgrade);
    paths.delete(matches);
    clearInterval(ping);
    for (const { ws } of sockets) ws.terminate();
  };
}

/** A socket, and what it has done since it was last looked at. */
interface Held {
  readonly ws: WebSocket;
  readonly socket: Socket;
  answered: boolean;
  missed: number;
  /** Bytes that the system has taken for it, so far. */
  taken: number;
}

/** Cuts off who is gone; who only reads slowly takes bytes, and stays. */
function lookAt(held: Held): void {
  const { ws, socket } = held;
  const taken = socket.bytesWritten - socket.writableLength;
  held.missed = held.answered || taken > held.taken ? 0 : held.missed + 1;
  held.taken = taken;
  held.answered = false;
  if (held.missed >= 2) {
    ws.terminate();
    return;
  }
  ws.ping();
  // A ping is a byte taken, but no sign of life.
  if (socket.writableLength === 0) held.taken = socket.bytesWritten;
}

type Matcher = (path: string) => RegExpExecArray | null;
const servers = new WeakMap<Server, Set<Matcher>>();

/** What the adapters on one server look for. */
function pathsOf(server: Server): Set<Matcher> {
  const paths = servers.get(server) ?? new Set();
  servers.set(server, paths);
  return paths;
}

const transport: Transport<Buffer> = { encode: (text) => Buffer.from(text) };
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
