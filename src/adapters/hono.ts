import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Admitted, Connection, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { placeOf } from "./paths.ts";
import { askNoneOnBun, askNoneOnNode } from "./subprotocols.ts";
import { wsTransport } from "./ws-frames.ts";
import { type WsSocket, wsReaders } from "./ws-readers.ts";

/** What is used of Hono's `Context`. */
export interface HonoContext {
  readonly env: unknown;
  readonly req: { readonly url: string; readonly raw: Request; header(name: string): string | undefined };
}

/** What is used of Hono's `WSContext`. */
export interface HonoSocket {
  readonly raw?: unknown;
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** Events of a socket as Hono's `upgradeWebSocket` takes them. */
export interface HonoEvents {
  onOpen(event: unknown, socket: HonoSocket): void;
  onMessage?(event: { readonly data: string | Blob | ArrayBufferLike }): void;
  onClose?(): void;
}

/** The two things that Hono has per runtime. */
export interface HonoAdapterOptions {
  /** Of your runtime: from `@hono/node-server`, `hono/bun`, … */
  readonly upgradeWebSocket: (
    createEvents: () => HonoEvents,
  ) => (c: never, next: () => Promise<void>) => Promise<unknown>;
  /** Of your runtime, for the limit per address: from `@hono/node-server/conninfo`, `hono/bun`, … */
  readonly getConnInfo?: (c: never) => { readonly remote: { readonly address?: string | undefined } };
}

const PATH = "/ws/channel/";

/**
 * A handler for Hono's route `/ws/channel/:id/`, below any base; your middleware comes before it. Give the server the
 * limits shown: larger messages are then not taken in before they are refused, and Bun ends who is silent for 60 s.
 * On Bun Hono tells of no pings and pongs, so those are not counted there: a stranger may send them without end.
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
 * export default { fetch: app.fetch, websocket: { ...websocket, maxPayloadLength: 4096, idleTimeout: 60 } };
 */
export function honoWebSocket(
  hub: Hub,
  { upgradeWebSocket, getConnInfo }: HonoAdapterOptions,
): (c: HonoContext, next: () => Promise<void>) => Promise<Response | undefined> {
  const readers = wsReaders();

  return async (c, next) => {
    // Not `c.req.param`: what is no percent-encoded UTF-8 would pass through it.
    const { pathname, search } = new URL(c.req.url);
    const place = placeOf(pathname.slice(Math.max(0, pathname.lastIndexOf(PATH))) + search);
    if (!place || c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      await next();
      return undefined;
    }

    // On Node the socket itself is at hand: it tells when it has drained, and takes one Buffer for all readers.
    const { incoming } = (c.env ?? {}) as { incoming?: IncomingMessage };
    const socket: Duplex | undefined = incoming?.socket;
    const admission = {
      ...place,
      origin: c.req.header("origin"),
      host: c.req.header("host"),
      address: getConnInfo?.(c as never).remote.address,
    };
    const answer = await hub.admit<string | Buffer>({
      ...admission,
      transport: socket ? wsTransport : texts,
    });
    if ("status" in answer) {
      const { status, reason, retryAfter } = answer;
      const headers = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
      return new Response(reason, { status, headers });
    }
    if (socket?.destroyed) {
      answer.cancel();
      return new Response(null, { status: 400 });
    }
    if (incoming) askNoneOnNode(incoming);
    else askNoneOnBun(c.req.raw);
    const events = socket ? onNode(answer, socket) : elsewhere(answer);
    const response = await upgradeWebSocket(() => events)(c as never, async () => {});
    if (response) return response as Response;
    answer.cancel();
    return new Response("malformed handshake", { status: 400 });
  };

  function onNode(answer: Admitted<Buffer>, socket: Duplex): HonoEvents {
    const cancel = () => answer.cancel();
    // A handshake that `ws` refuses is told to nobody, but its socket closes.
    socket.once("close", cancel);
    return {
      onOpen(_event, { raw }) {
        socket.off("close", cancel);
        readers.open(answer, raw as WsSocket, socket);
      },
    };
  }
}

const texts: Transport<string> = { encode: (text) => text };

/** Other runtimes ping by themselves, and the hub looks now and then who has drained. */
function elsewhere(answer: Admitted<string>): HonoEvents {
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

function connectionOf(ws: HonoSocket): Connection<string> {
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
