import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type ServerOptions, WebSocketServer } from "ws";
import type { Admitted } from "../hub/connection.ts";
import { MAX_MESSAGE_BYTES, placeOf } from "./paths.ts";
import { type WsReaders, wsReaders } from "./ws-readers.ts";

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/**
 * Calls `take` for upgrades to `<base>/ws/channel/<id>/`. Others are left to the server's other handlers; where there
 * are only ours, `unclaimed` of the first answers those that none of them takes. Returns what takes the handler off.
 */
export function onUpgrade(server: Server, base: string, take: Upgrade, unclaimed: Upgrade): () => void {
  const bases = basesOn(server);
  const key = { base };
  const handle: Upgrade = (request, socket, head) => {
    const url = request.url ?? "";
    if (placeOf(url, base)) return take(request, socket, head);
    const isOurs = server.listenerCount("upgrade") === bases.size;
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

const servers = new WeakMap<Server, Set<{ readonly base: string }>>();

/** What the handlers on one server look for. */
function basesOn(server: Server): Set<{ readonly base: string }> {
  const bases = servers.get(server) ?? new Set();
  servers.set(server, bases);
  return bases;
}

/** Answers upgrades with `ws`, and holds the readers that came of it. */
export interface Acceptor {
  accept(answer: Admitted<Buffer>, request: IncomingMessage, socket: Duplex, head: Buffer): void;
  terminate: WsReaders["terminate"];
}

export function acceptor(): Acceptor {
  const readers = wsReaders();
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  } satisfies ServerOptions);
  return {
    accept(answer, request, socket, head) {
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
        readers.open(answer, ws, socket);
      });
    },
    terminate: readers.terminate,
  };
}
