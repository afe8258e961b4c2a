import type { Duplex } from "node:stream";
import type { Context, MiddlewareHandler } from "hono";
import type { WSContext, WSEvents } from "hono/ws";
import type { WebSocket } from "ws";
import type { Admitted, Connection, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { placeOf } from "./paths.ts";
import { wsReaders, wsTransport } from "./ws-readers.ts";

/** The two things that Hono has per runtime. */
export interface HonoAdapterOptions {
  /** Of your runtime: from `@hono/node-server`, `hono/bun`, … */
  readonly upgradeWebSocket: (createEvents: () => WSEvents) => MiddlewareHandler;
  /** Of your runtime, for the limit per address: from `@hono/node-server/conninfo`, `hono/bun`, … */
  readonly getConnInfo?: (c: Context) => { readonly remote: { readonly address?: string | undefined } };
}

const PATH = "/ws/channel/";

/**
 * A handler for Hono's route `/ws/channel/:id/`, below any base. On Node give the server a `WebSocketServer` with
 * `maxPayload: 4096`, so that larger messages are not taken in before they are refused.
 *
 * @example
 * import { serve, upgradeWebSocket } from "@hono/node-server";
 * import { getConnInfo } from "@hono/node-server/conninfo";
 *
 * app.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket, getConnInfo }));
 * serve({ fetch: app.fetch, websocket: { server: new WebSocketServer({ noServer: true, maxPayload: 4096 }) } });
 *
 * @example
 * import { getConnInfo, upgradeWebSocket, websocket } from "hono/bun";
 *
 * app.get("/ws/channel/:id/", honoWebSocket(hub, { upgradeWebSocket, getConnInfo }));
 * export default { fetch: app.fetch, websocket: { ...websocket, maxPayloadLength: 4096 } };
 */
export function honoWebSocket(
  hub: Hub,
  { upgradeWebSocket, getConnInfo }: HonoAdapterOptions,
): MiddlewareHandler {
  const readers = wsReaders();

  return async (c, next) => {
    // Not `c.req.param`: what is no percent-encoded UTF-8 would pass through it.
    const { pathname, search } = new URL(c.req.url);
    const place = placeOf(pathname.slice(Math.max(0, pathname.lastIndexOf(PATH))) + search);
    if (!place || c.req.header("upgrade")?.toLowerCase() !== "websocket") return next();

    // On Node the socket itself is at hand: it tells when it has drained, and takes one Buffer for all readers.
    const socket = (c.env as { incoming?: { socket: Duplex } } | undefined)?.incoming?.socket;
    const admission = {
      ...place,
      origin: c.req.header("origin"),
      host: c.req.header("host"),
      address: getConnInfo?.(c).remote.address,
    };
    const answer = await hub.admit<string | Buffer>({
      ...admission,
      transport: socket ? wsTransport : texts,
    });
    if ("status" in answer) {
      if (answer.retryAfter !== undefined) c.header("Retry-After", String(answer.retryAfter));
      return c.body(answer.reason, answer.status as 400 | 403 | 429 | 503);
    }
    if (socket?.destroyed) {
      answer.cancel();
      return c.body(null, 400);
    }
    const events = socket ? onNode(answer, socket) : elsewhere(answer);
    const response = await upgradeWebSocket(() => events)(c, async () => {});
    if (response) return response;
    answer.cancel();
    return c.body("malformed handshake", 400);
  };

  function onNode(answer: Admitted<Buffer>, socket: Duplex): WSEvents {
    let opened = false;
    // A handshake that `ws` refuses is told to nobody, but its socket closes.
    socket.once("close", () => opened || answer.cancel());
    return {
      onOpen(_event, { raw }) {
        opened = true;
        readers.open(answer, raw as WebSocket, socket);
      },
    };
  }
}

const texts: Transport<string> = { encode: (text) => text };

/** Other runtimes ping by themselves, and the hub looks now and then who has drained. */
function elsewhere(answer: Admitted<string>): WSEvents {
  let reader: Reader | undefined;
  return {
    onOpen(_event, ws) {
      reader = answer.open(connectionOf(ws));
    },
    onMessage({ data }) {
      reader?.message(typeof data === "string" ? Buffer.byteLength(data) : sizeOf(data));
    },
    onClose() {
      reader?.closed();
    },
  };
}

function sizeOf(data: Blob | ArrayBufferLike): number {
  return "size" in data ? data.size : data.byteLength;
}

function connectionOf(ws: WSContext): Connection<string> {
  const raw = ws.raw as { readonly bufferedAmount?: number; getBufferedAmount?(): number };
  return {
    send(text) {
      ws.send(text);
    },
    close(code, reason) {
      ws.close(code, reason);
    },
    get bufferedAmount() {
      return raw.getBufferedAmount?.() ?? raw.bufferedAmount ?? 0;
    },
  };
}
