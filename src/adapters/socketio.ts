import type { Admission, Reader, Refusal, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";

/** Pages that one socket reads at a time. */
const MAX_PAGES = 50;
/** Joins of one socket in one window: each may ask the log. */
const MAX_JOINS = 60;
const JOINS_WINDOW_MS = 30_000;

/** What the adapter uses of a Socket.IO `Server` or `Namespace`. */
export interface SocketIoServer<S extends SocketIoSocket = SocketIoSocket> {
  on(event: "connection", listener: (socket: S) => void): unknown;
  off(event: "connection", listener: (socket: S) => void): unknown;
}

/** What the adapter uses of a Socket.IO `Socket`. */
export interface SocketIoSocket {
  readonly handshake: {
    readonly address: string;
    readonly headers: { readonly origin?: string | undefined; readonly host?: string | undefined };
  };
  readonly conn: { readonly transport: { readonly writable: boolean } };
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  emit(event: string, ...args: unknown[]): unknown;
}

export interface SocketIoAdapterOptions<S extends SocketIoSocket = SocketIoSocket> {
  /** The reader's address, for limits: each page joined counts. Default: the handshake's. */
  readonly addressOf?: (socket: S) => string | undefined;
  /** The host that was asked, for the check of origins. Default: the handshake's `Host` header. */
  readonly hostOf?: (socket: S) => string | undefined;
}

/** The acknowledgement of `tidings:join`. The statuses are PROTOCOL.md's; `retryAfter` is in seconds. */
export type SocketIoAnswer = { readonly ok: true } | ({ readonly ok: false } & Refusal);

/**
 * Lets readers that hold a Socket.IO connection join pages over it, any number at once.
 * Returns what ends that: no page can be joined any more, and who reads one leaves it. The sockets stay.
 *
 * | event           | from   | arguments                                                                        |
 * | --------------- | ------ | -------------------------------------------------------------------------------- |
 * | `tidings:join`  | reader | channel id, cursor (or `null`: live only), acknowledgement: {@link SocketIoAnswer} |
 * | `tidings:frame` | server | channel id, frame: the JSON text that a WebSocket would bring                     |
 * | `tidings:leave` | reader | channel id                                                                       |
 * | `tidings:left`  | server | channel id, close code, reason: the hub let go of the reader                      |
 *
 * Joins are counted, and what is sent to readers is bounded. What else a socket sends without end (events of any name, pings
 * and pongs) is your server's to bound: the connection is its.
 *
 * To join a page again ends the earlier reading of it. A disconnect leaves all pages: join on every `connect`.
 *
 * @example
 * attachSocketIo(io, createHub({ log, bus }));
 * // in the browser
 * socket.on("connect", () => socket.emit("tidings:join", "finals", cursor, (answer) => …));
 * socket.on("tidings:frame", (channel, text) => receive(text));
 */
export function attachSocketIo<S extends SocketIoSocket>(
  io: SocketIoServer<S>,
  hub: Hub,
  options: SocketIoAdapterOptions<S> = {},
): () => void {
  const {
    addressOf = (socket) => socket.handshake.address,
    hostOf = (socket) => socket.handshake.headers.host,
  } = options;
  const leavers = new Map<S, () => void>();

  function connected(socket: S): void {
    const { origin } = socket.handshake.headers;
    const leaveAll = serve(hub, socket, { origin, host: hostOf(socket), address: addressOf(socket) });
    leavers.set(socket, leaveAll);
    socket.on("disconnect", () => {
      leavers.delete(socket);
      leaveAll();
    });
  }

  io.on("connection", connected);
  return () => {
    io.off("connection", connected);
    for (const leaveAll of leavers.values()) leaveAll();
  };
}

/** Serves one socket; returns what makes it leave, and join no more. */
function serve(hub: Hub, socket: SocketIoSocket, door: Omit<Admission<string>, "channel" | "transport">) {
  /** By channel; without a reader as long as the hub is asked. */
  const pages = new Map<string, { reader?: Reader }>();
  const isTooMany = countJoins();
  let ended = false;
  /** Characters sent since Socket.IO's transport last had nothing to do. */
  let unsent = 0;
  const bufferedAmount = () => (socket.conn.transport.writable ? 0 : unsent);

  function leave(channel: string): void {
    const page = pages.get(channel);
    pages.delete(channel);
    page?.reader?.closed();
  }

  async function join(channel: string, cursor: string | null, answer: (answer: SocketIoAnswer) => void) {
    if (ended) return answer({ ok: false, status: 503, reason: "no pages here any more" });
    if (isTooMany() || (pages.size >= MAX_PAGES && !pages.has(channel))) {
      return answer({ ok: false, status: 429, reason: "too many pages joined", retryAfter: 30 });
    }
    leave(channel);
    const page: { reader?: Reader } = {};
    pages.set(channel, page);
    const isHere = () => pages.get(channel) === page;
    const admitted = await hub.admit({ ...door, channel, cursor, transport });
    if ("status" in admitted) {
      if (isHere()) leave(channel);
      return answer({ ok: false, ...admitted });
    }
    if (!isHere()) {
      admitted.cancel();
      return answer({ ok: false, status: 409, reason: "left, or joined again, meanwhile" });
    }
    answer({ ok: true });
    page.reader = admitted.open({
      send(text) {
        unsent = bufferedAmount() + text.length;
        socket.emit("tidings:frame", channel, text);
      },
      close(code, reason) {
        if (!isHere()) return;
        leave(channel);
        socket.emit("tidings:left", channel, code, reason);
      },
      get bufferedAmount() {
        return bufferedAmount();
      },
    });
    // A hub that is closing sends away before `open` has returned.
    if (!isHere()) page.reader.closed();
  }

  socket.on("tidings:join", (...args) => {
    const [channel, cursor] = args;
    const last = args.at(-1);
    // What is no text is no channel id: the hub says so.
    void join(
      typeof channel === "string" ? channel : "",
      typeof cursor === "string" ? cursor : null,
      typeof last === "function" ? (answer) => last(answer) : () => {},
    );
  });
  socket.on("tidings:leave", (channel) => leave(String(channel)));

  return () => {
    ended = true;
    for (const channel of [...pages.keys()]) leave(channel);
  };
}

/** Whether the join that is made now is one too many in its window. */
function countJoins(): () => boolean {
  let joins = 0;
  let windowEnds = 0;
  return () => {
    const now = Date.now();
    if (now > windowEnds) [joins, windowEnds] = [0, now + JOINS_WINDOW_MS];
    return ++joins > MAX_JOINS;
  };
}

/** A text goes out as it is: Socket.IO encodes each packet for itself, whatever it is given. */
const transport: Transport<string> = { encode: (text) => text };
