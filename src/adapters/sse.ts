import type { ServerResponse } from "node:http";
import type { Admitted, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { NodeAdapterOptions } from "./node.ts";
import {
  type Asked,
  askedOfFetch,
  askedOfNode,
  corsOf,
  type FetchAdapterOptions,
  type FetchHandler,
  NOT_GET,
  type NodeHandler,
  pass,
  refused,
  send,
  toResponse,
} from "./requests.ts";

export type { FetchAdapterOptions, FetchHandler, NodeHandler };

/** A reader that has taken no byte for two of these, while there are some for it, is gone. */
const LOOKED_AT_MS = 30_000;
/** What a runtime may hold of a stream before the hub takes its reader for slow. */
const HELD_BYTES = 64 * 1024;
/** When a reader without a rule of its own comes back, at least and at most, in milliseconds. */
const RETURNS_MS = [1_000, 5_000] as const;

/**
 * Serves `/sse/channel/<channel id>/`, a stream of Server-Sent Events (PROTOCOL.md, "Server-Sent Events"), as a handler
 * for Node: on a bare server, or as middleware of Express, Connect, NestJS …
 *
 * @example
 * app.use(nodeSse(hub)); // Express
 *
 * @example
 * // the browser, without our client
 * const source = new EventSource("/sse/channel/finals/");
 * source.onmessage = ({ data }) => apply(JSON.parse(data)); // it resumes by itself, from the last event's id
 */
export function nodeSse(hub: Hub, options: NodeAdapterOptions = {}): NodeHandler {
  const streams = watched();
  return (request, response, next) => {
    const asked = askedOfNode(request, "sse", options);
    if (!asked) return pass(response, next);
    if (request.method !== "GET") return send(response, NOT_GET);
    enter(hub, asked).then(
      (admitted) => {
        if ("status" in admitted) return send(response, refused(admitted, corsOf(asked, hub.origins)));
        if (response.destroyed) return admitted.cancel();
        response.writeHead(200, headersOf(asked, hub));
        response.write(opening());
        request.socket.setKeepAlive(true, LOOKED_AT_MS);
        const reader = admitted.open({
          send: (frame) => void response.write(frame),
          close: () => void response.end(),
          get bufferedAmount() {
            return response.writableLength;
          },
        });
        response.on("drain", reader.drained);
        response.on("close", reader.closed);
        streams.add(response);
      },
      () => response.destroy(),
    );
  };
}

/**
 * The same for a server that takes a `Request` and gives a `Response`. On Bun, `Bun.serve({ idleTimeout: 60 })` keeps
 * streams that are silent between two heartbeats.
 *
 * @example
 * const sse = fetchSse(hub);
 * Bun.serve({ idleTimeout: 60, fetch: async (request) => (await sse(request)) ?? new Response(page) });
 */
export function fetchSse(hub: Hub, options: FetchAdapterOptions = {}): FetchHandler {
  return async (request, { address } = {}) => {
    const asked = askedOfFetch(request, "sse", options, address);
    if (!asked) return null;
    if (request.method !== "GET") return toResponse(NOT_GET);
    const admitted = await enter(hub, asked);
    if ("status" in admitted) return toResponse(refused(admitted, corsOf(asked, hub.origins)));
    if (request.signal.aborted) {
      admitted.cancel();
      return new Response(null, { status: 499 });
    }
    return new Response(streamTo(admitted, request.signal), { headers: headersOf(asked, hub) });
  };
}

type Bytes = Uint8Array<ArrayBuffer>;

const transport: Transport<Bytes> = {
  greets: true,
  encode: (text, cursor) => Buffer.from(`${cursor && `id: ${cursor}\n`}data: ${text}\n\n`),
};

/** What an `EventSource` sends when it comes back counts, not what its URL said at first. */
function enter(hub: Hub, asked: Asked) {
  const { header, cursor } = asked;
  return hub.admit({ ...asked, cursor: header("last-event-id") || cursor, transport });
}

function headersOf(asked: Asked, hub: Hub): Record<string, string> {
  return {
    ...corsOf(asked, hub.origins),
    "Content-Type": "text/event-stream; charset=utf-8",
    // Proxies that compress would hold events back.
    "Cache-Control": "no-store, no-transform",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",
  };
}

/** Each reader has its own time to come back, so that those cut off together do not return together. */
function opening(): string {
  const [least, most] = RETURNS_MS;
  return `retry: ${Math.round(least + Math.random() * (most - least))}\n\n`;
}

/** Cuts off readers that are gone without a word; who only reads slowly takes bytes, and stays. */
function watched(): { add(response: ServerResponse): void } {
  /** The bytes that the system has taken for each, and how often that was no more than before. */
  const all = new Map<ServerResponse, { taken: number; stalled: number }>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    for (const [response, seen] of all) {
      const taken = (response.socket?.bytesWritten ?? 0) - response.writableLength;
      seen.stalled = response.writableLength > 0 && taken <= seen.taken ? seen.stalled + 1 : 0;
      seen.taken = taken;
      if (seen.stalled >= 2) response.destroy();
    }
  }

  return {
    add(response) {
      all.set(response, { taken: 0, stalled: 0 });
      timer ??= setInterval(look, LOOKED_AT_MS).unref();
      response.once("close", () => {
        all.delete(response);
        if (all.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      });
    },
  };
}

function streamTo(admitted: Admitted<Bytes>, signal: AbortSignal): ReadableStream<Bytes> {
  let reader: Reader | undefined;
  let isOver = false;
  const over = () => {
    isOver = true;
    reader?.closed();
  };
  signal.addEventListener("abort", over, { once: true });
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        controller.enqueue(Buffer.from(opening()));
        reader = admitted.open({
          send(frame) {
            if (!isOver) controller.enqueue(frame);
          },
          close() {
            if (isOver) return;
            controller.close();
            over();
          },
          get bufferedAmount() {
            return HELD_BYTES - (controller.desiredSize ?? HELD_BYTES);
          },
        });
        // A hub that is closing sends away before `open` has returned.
        if (isOver) reader.closed();
      },
      pull: () => reader?.drained(),
      cancel: over,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HELD_BYTES }),
  );
}
