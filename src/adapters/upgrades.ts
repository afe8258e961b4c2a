import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type ServerOptions, WebSocketServer } from "ws";
import type { Admitted } from "../hub/connection.ts";
import { MAX_MESSAGE_BYTES, placeOf } from "./paths.ts";
import { type WsReaders, wsReaders } from "./ws-readers.ts";

/** Of one message, which counts as one: each fragment of a compressed one is inflated for itself. Browsers send such small ones whole. */
const MAX_FRAGMENTS = 64;

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/**
 * Calls `take` for upgrades to `<base>/ws/channel/<id>/`. Others are left to the server's other handlers; where there
 * are only ours, `unclaimed` of the first answers those that none of them takes. Returns what takes the handler off.
 */
export function onUpgrade(server: Server, base: string, take: Upgrade, unclaimed: Upgrade): () => void {
  const { bases, watchers } = stateOf(server);
  const key = { base };
  const handle: Upgrade = (request, socket, head) => {
    const url = request.url ?? "";
    if (placeOf(url, base)) return take(request, socket, head);
    const isOurs = server.listenerCount("upgrade") === bases.size + watchers.size;
    const isFirst = bases.values().next().value === key;
    if (isOurs && isFirst && ![...bases].some((other) => placeOf(url, other.base))) {
      unclaimed(request, socket, head);
    }
  };
  bases.add(key);
  server.on("upgrade", handle);
  return () => {
    server.off("upgrade", handle);
    bases.delete(key);
  };
}

/** Shows `watch` each upgrade before any handler: it answers none, and so keeps none from being told of a wrong path. */
export function watchUpgrades(server: Server, watch: Upgrade): void {
  stateOf(server).watchers.add(watch);
  server.prependListener("upgrade", watch);
}

interface State {
  /** What the handlers on the server look for. */
  readonly bases: Set<{ readonly base: string }>;
  readonly watchers: Set<Upgrade>;
}

const servers = new WeakMap<Server, State>();

function stateOf(server: Server): State {
  const state = servers.get(server) ?? { bases: new Set(), watchers: new Set() };
  servers.set(server, state);
  return state;
}

/** For a socket whose errors nobody waits for: without a listener one would end the process. */
export const ignore = (): void => {};

/** Answers upgrades with `ws`, and holds the readers that came of it. */
export interface Acceptor {
  /** Takes {@link ignore} off the socket. */
  accept(answer: Admitted<Buffer>, request: IncomingMessage, socket: Duplex, head: Buffer): void;
  terminate: WsReaders["terminate"];
}

export function acceptor(): Acceptor {
  const readers = wsReaders();
  const options = {
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: MAX_FRAGMENTS,
    perMessageDeflate: false,
    // `ws` would answer the first that is asked for.
    handleProtocols: () => false,
  } satisfies ServerOptions;
  const plain = new WebSocketServer(options);
  // Without context takeover a compressed frame is the same for all, and no reader costs a compressor.
  const perMessageDeflate = { serverNoContextTakeover: true, clientNoContextTakeover: true };
  const deflating = new WebSocketServer({ ...options, perMessageDeflate });
  return {
    accept(answer, request, socket, head) {
      if (socket.destroyed || !socket.readable) {
        answer.cancel();
        socket.destroy();
        return;
      }
      const cancel = () => answer.cancel();
      // ws answers a malformed handshake itself, and closes the socket.
      socket.once("close", cancel);
      (offersDeflate(request) ? deflating : plain).handleUpgrade(request, socket, head, (ws) => {
        // What only the upgrade needed is not to be held for as long as the reader stays; of errors ws hears by itself.
        socket.off("close", cancel).off("error", ignore);
        readers.open(answer, ws, socket, ws.extensions !== "", true);
      });
    },
    terminate: readers.terminate,
  };
}

const DEFLATE_OFFER =
  /^permessage-deflate(?:\s*;\s*(?:client_max_window_bits(?:=\d+)?|(?:client|server)_no_context_takeover))*\s*(?:,|$)/;

/** An offer that bounds the server's window is declined: its frames are shared, and made with the largest. */
function offersDeflate({ headers }: IncomingMessage): boolean {
  return DEFLATE_OFFER.test(headers["sec-websocket-extensions"] ?? "");
}
