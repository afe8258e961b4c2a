import type { Admitted, Reader, Transport } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { type Cursor, encodeHeartbeat } from "../protocol.ts";
import type { NodeAdapterOptions } from "./node.ts";
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
import { unanswered } from "./unanswered.ts";

export type { FetchAdapterOptions, FetchHandler, NodeHandler };

const METHODS = ["GET", "HEAD"];
const MAX_WAIT_S = 30;
const WAITING_LOOKED_AT_MS = 1_000;

/**
 * Serves `/updates/channel/<channel id>/` to readers that ask again and again (PROTOCOL.md, "Polling"), as a handler
 * for Node: on a bare server, or as middleware of Express, Connect, NestJS …
 * With `?wait=<seconds>` an answer waits for something to tell; without, it may be cached, and one cache in front of
 * the server answers nearly all readers of a page.
 *
 * @example
 * app.use(nodePolling(hub)); // Express
 *
 * @example
 * const polling = nodePolling(hub);
 * http.createServer((request, response) => polling(request, response, () => site(request, response)));
 */
export function nodePolling(hub: Hub, options: NodeAdapterOptions = {}): NodeHandler {
  const answerTo = answering(hub);
  const mayAsk = unanswered();
  return (request, response, next) => {
    const asked = askedOfNode(request, "updates", options);
    if (!asked) return pass(response, next);
    if (!mayAsk(request, response)) return void request.socket.destroy();
    const gone = (left: () => void) => {
      if (response.destroyed) left();
      else response.once("close", left);
    };
    answerTo(asked, gone)
      .then((answer) => answer && send(response, answer))
      .catch(() => response.destroy());
  };
}

/**
 * The same for a server that takes a `Request` and gives a `Response`. On Bun, `Bun.serve({ idleTimeout: 60 })` lets
 * answers wait.
 *
 * @example
 * const polling = fetchPolling(hub);
 * Bun.serve({ fetch: async (request) => (await polling(request)) ?? new Response(page) });
 */
export function fetchPolling(hub: Hub, options: FetchAdapterOptions = {}): FetchHandler {
  const answerTo = answering(hub);
  return async (request, { address } = {}) => {
    const asked = askedOfFetch(request, "updates", options, address);
    if (!asked) return null;
    const { signal } = request;
    const gone = (left: () => void) => {
      if (signal.aborted) left();
      else signal.addEventListener("abort", left, { once: true });
    };
    const answer = await answerTo(asked, gone);
    return answer ? toResponse(answer) : new Response(null, { status: 499 });
  };
}

/** Answers a request; with nothing when the reader has left. */
function answering(hub: Hub): (asked: Asked, gone: (left: () => void) => void) => Promise<Answer | null> {
  const waiting = waitingRoom();

  return async (asked, gone) => {
    const cors = { ...corsOf(asked, hub.origins), "X-Content-Type-Options": "nosniff" };
    if (!METHODS.includes(asked.method)) return notAllowed(METHODS, cors);
    const json = { ...cors, "Content-Type": "application/json; charset=utf-8" };
    const waitMs = Math.min(Number(asked.query.get("wait")) || 0, MAX_WAIT_S) * 1_000;
    if (waitMs > 0 && asked.cursor) {
      let hasLeft = false;
      gone(() => {
        hasLeft = true;
      });
      const admitted = await hub.admit({ ...asked, transport });
      if ("status" in admitted) return refused(admitted, cors);
      if (hasLeft) {
        admitted.cancel();
        return null;
      }
      const body = await waiting.first(admitted, asked.cursor, waitMs, gone);
      return body && { status: 200, headers: { ...json, "Cache-Control": "no-store" }, body };
    }
    const polled = await hub.poll(asked);
    if ("status" in polled) return refused(polled, cors);
    const { kind, cursor, text } = polled;
    const tag = `W/"${kind}-${cursor}"`;
    const headers = { ...json, "Cache-Control": CACHED[kind], ETag: tag };
    const isKnown = tagsOf(asked.header("if-none-match")).includes(bare(tag));
    return { status: isKnown ? 304 : 200, headers, body: text };
  };
}

/** Caches ask with all the names they have. */
function tagsOf(header = ""): string[] {
  return header.split(",").map(bare);
}

/** Whether a name is said to be weak makes no difference here. */
function bare(tag: string): string {
  return tag.trim().replace(/^W\//, "");
}

/**
 * What came after a cursor stays true: it is kept long enough for all who are at that cursor to come by, and so short
 * that what was taken back is soon nowhere. That nothing has come may be wrong the next moment.
 */
const CACHED = {
  update: "public, max-age=0, s-maxage=5",
  reset: "public, max-age=0, s-maxage=1",
  nothing: "public, max-age=0, s-maxage=1, stale-while-revalidate=2",
} as const;

type Body = Uint8Array<ArrayBuffer>;

const transport: Transport<Body> = { encode: (text) => Buffer.from(text) };

interface Waiting {
  readonly until: number;
  end(body: Body | null): void;
  readonly nothing: () => Body;
}

/** Readers whose answer waits for a frame: each costs an entry, and one timer is for all. */
function waitingRoom() {
  const all = periodic<Waiting>(WAITING_LOOKED_AT_MS, (each) => {
    if (each.until <= performance.now()) each.end(each.nothing());
  });

  return {
    /** The first frame; after `waitMs` one that says that nothing has come; `null` when the reader has left. */
    first(
      admitted: Admitted<Body>,
      cursor: Cursor,
      waitMs: number,
      gone: (left: () => void) => void,
    ): Promise<Body | null> {
      return new Promise((resolve) => {
        let reader: Reader | undefined;
        let isOver = false;
        const nothing = () => transport.encode(encodeHeartbeat(cursor), cursor);
        const waiting: Waiting = {
          until: performance.now() + waitMs,
          nothing,
          end(body) {
            if (isOver) return;
            isOver = true;
            all.delete(waiting);
            reader?.closed();
            resolve(body);
          },
        };
        all.add(waiting);
        gone(() => waiting.end(null));
        reader = admitted.open({
          send: waiting.end,
          close: () => waiting.end(nothing()),
          bufferedAmount: 0,
        });
        // The hub may have had something to say at once.
        if (isOver) reader.closed();
      });
    },
  };
}
