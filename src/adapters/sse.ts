import type { Admitted, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { NodeAdapterOptions } from "./node.ts";
import { LOOKED_AT_MS, patienceFor } from "./patience.ts";
import { periodic } from "./periodic.ts";
import {
  type Answer,
  type Asked,
  askedOfFetch,
  askedOfNode,
  corsOf,
  type FetchAdapterOptions,
  type FetchHandler,
  type NodeHandler,
  notAllowed,
  pass,
  refused,
  send,
  toResponse,
} from "./requests.ts";

export type { FetchAdapterOptions, FetchHandler, NodeHandler };

const METHODS = ["GET", "HEAD"];
/** Linux wakes a writer when a third of its buffer is free, which has 4 MB at most: until then nothing moves here. */
const MAX_UNSEEN_BYTES = 1_400_000;
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
    enter(hub, asked)
      .then((admitted) => {
        if ("status" in admitted) return send(response, admitted);
        if (response.destroyed) return admitted.cancel();
        const { socket } = request;
        response.writeHead(200, headersOf(asked, hub));
        if (asked.method === "HEAD") {
          admitted.cancel();
          return void response.end();
        }
        response.write(opening());
        socket.setKeepAlive(true, LOOKED_AT_MS);
        const reader = admitted.open({
          send(frame) {
            // Until the end has gone out, the hub may still have something to say.
            if (!response.writableEnded) response.write(frame);
          },
          close: () => void response.end(),
          get bufferedAmount() {
            return response.writableLength;
          },
        });
        const forget = streams.add({
          held: () => response.writableLength,
          taken: () => socket.bytesWritten - socket.writableLength,
          cut: () => socket.destroy(),
        });
        response.on("drain", () => reader.drained());
        response.on("close", () => {
          forget();
          reader.closed();
        });
      })
      .catch(() => response.destroy());
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
  const streams = watched();
  return async (request, { address } = {}) => {
    const asked = askedOfFetch(request, "sse", options, address);
    if (!asked) return null;
    const admitted = await enter(hub, asked);
    if ("status" in admitted) return toResponse(admitted);
    if (request.signal.aborted) {
      admitted.cancel();
      return new Response(null, { status: 499 });
    }
    const headers = headersOf(asked, hub);
    if (asked.method === "HEAD") {
      admitted.cancel();
      return new Response(null, { headers });
    }
    return new Response(streamTo(admitted, request.signal, streams), { headers });
  };
}

type Bytes = Uint8Array<ArrayBuffer>;

const transport: Transport<Bytes> = {
  greets: true,
  encode: (text, cursor) => Buffer.from(`${cursor && `id: ${cursor}\n`}data: ${text}\n\n`),
  join: (events) => Buffer.concat(events),
};

async function enter(hub: Hub, asked: Asked): Promise<Admitted<Bytes> | Answer> {
  const cors = corsOf(asked, hub.origins);
  if (!METHODS.includes(asked.method)) return notAllowed(METHODS, cors);
  // What an `EventSource` sends when it comes back counts, not what its URL said at first.
  const cursor = asked.header("last-event-id") || asked.cursor;
  const admitted = await hub.admit({ ...asked, cursor, transport });
  return "status" in admitted ? refused(admitted, cors) : admitted;
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

/** A stream, as it is looked at now and then. */
interface Watched {
  /** Bytes that wait for the reader. */
  held(): number;
  /** Bytes that have been taken off our hands, so far. */
  taken(): number;
  cut(): void;
}

interface Watch {
  /** Returns what ends the watch. */
  add(stream: Watched): () => void;
}

/** Cuts off readers that are gone without a word; who only reads slowly is seen to take bytes, and stays. */
function watched(): Watch {
  const all = periodic<{ readonly stream: Watched; taken: number; stalled: number }>(LOOKED_AT_MS, (seen) => {
    const { stream } = seen;
    const [held, taken] = [stream.held(), stream.taken()];
    seen.stalled = held > 0 && taken <= seen.taken ? seen.stalled + 1 : 0;
    seen.taken = taken;
    if (seen.stalled >= patienceFor(held + Math.min(taken, MAX_UNSEEN_BYTES))) stream.cut();
  });

  return {
    add(stream) {
      // Less than nothing: the first look may come the next moment, and is not one at which it has stalled.
      const seen = { stream, taken: -1, stalled: 0 };
      all.add(seen);
      return () => all.delete(seen);
    },
  };
}

function streamTo(admitted: Admitted<Bytes>, signal: AbortSignal, streams: Watch): ReadableStream<Bytes> {
  let reader: Reader | undefined;
  let forget = () => {};
  let isEnding = false;
  let isOver = false;
  let sent = 0;
  const over = () => {
    isOver = true;
    forget();
    reader?.closed();
  };
  // Not before the last words have been taken, which the hub waits for.
  const end = (controller: ReadableStreamDefaultController<Bytes>) => {
    if (isOver) return;
    controller.close();
    over();
  };
  signal.addEventListener("abort", over, { once: true });
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        const held = () => heldBy(controller);
        const enqueue = (bytes: Bytes) => {
          sent += bytes.length;
          controller.enqueue(bytes);
        };
        enqueue(Buffer.from(opening()));
        reader = admitted.open({
          send(frame) {
            if (isEnding || isOver) return;
            // In parts, so that a large frame that is taken slowly is seen to be taken.
            for (let at = 0; at < frame.length; at += HELD_BYTES) {
              enqueue(frame.length <= HELD_BYTES ? frame : frame.subarray(at, at + HELD_BYTES));
            }
          },
          close() {
            isEnding = true;
            if (held() === 0) end(controller);
          },
          get bufferedAmount() {
            return held();
          },
        });
        forget = streams.add({
          held,
          taken: () => sent - held(),
          cut() {
            controller.error(new Error("the reader takes nothing"));
            over();
          },
        });
      },
      pull(controller) {
        if (!isEnding) reader?.drained();
        else if (heldBy(controller) === 0) end(controller);
      },
      cancel: over,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HELD_BYTES }),
  );
}

/** Bytes that wait in a stream. */
function heldBy({ desiredSize }: ReadableStreamDefaultController): number {
  return HELD_BYTES - (desiredSize ?? HELD_BYTES);
}
