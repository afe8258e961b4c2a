/** The ways to a server that browsers have: each opens one connection, and tells what becomes of it. */
import { type Cursor, parseCursor } from "../protocol.ts";
import { backoff } from "./backoff.ts";
import type { ConnectionEvents, UrlFor } from "./publisher.ts";

export type TransportName = "websocket" | "sse" | "polling";

export type Transport = (url: UrlFor, cursor: Cursor | null, events: ConnectionEvents) => { close(): void };

/** How long an answer may be kept back, in seconds. */
const WAIT_S = 20;
/** How soon to ask again, at most, after something has come: the page may be a busy one. */
const AGAIN_MS = 500;
/** The same after nothing has come, and too soon: something in between did not let the answer wait. */
const NOTHING_MS = 2_000;
/** A wait that fails after so long was cut for its silence, perhaps; one that fails sooner, for something else. */
const SILENT_MS = 1_000;

export const TRANSPORTS: Readonly<Record<TransportName, Transport>> = {
  websocket(url, cursor, { opened, receive, lost }) {
    const socket = new WebSocket(url("ws", cursor));
    socket.onopen = opened;
    socket.onmessage = ({ data }) => receive(data);
    socket.onclose = lost;
    return socket;
  },

  sse(url, cursor, { receive, lost }) {
    const source = new EventSource(url("sse", cursor));
    // Open is what its first event says: proxies that hold streams up let their beginning through.
    source.onmessage = ({ data }) => receive(data);
    source.onerror = lost;
    return source;
  },

  polling(url, cursor, { receive, lost }) {
    const abort = new AbortController();
    /** Waits that were cut in a row. */
    let cuts = 0;
    /** Polls to come that do not wait: what cuts off who is silent lets them through. The first shows that answers come. */
    let hasty = 1;
    const poll = async () => {
      const asked = Date.now();
      const wait = hasty ? 0 : WAIT_S;
      try {
        const response = await fetch(`${url("updates", cursor)}&wait=${wait}`, {
          signal: abort.signal,
          cache: "no-cache",
        });
        const text = await response.text();
        // Something in between that gives up on a wait may say so.
        const frame = JSON.parse(response.ok ? text : "");
        receive(text);
        if (frame.retry) return lost();
        let pause = frame.cursor === cursor || frame.reset ? NOTHING_MS : AGAIN_MS;
        if (wait) cuts = 0;
        else if (!--hasty) pause = 0;
        // Not the page's cursor: while it answers a reset, that stays where it was.
        // Asked without one, the server would tell where the page is, and what was missed would stay so.
        if (parseCursor(frame.cursor)) cursor = frame.cursor;
        setTimeout(poll, Math.max(0, pause * (0.75 + Math.random() / 2) - (Date.now() - asked)));
      } catch {
        if (!wait || Date.now() - asked < SILENT_MS) return lost();
        // Once, and a server was killed: one poll finds another. Again, and waits are cut here: for how long, each tells anew.
        hasty = 10 ** cuts++;
        setTimeout(poll, backoff(0));
      }
    };
    void poll();
    // What would be asked after that fails at once, and is lost on nobody.
    return { close: () => abort.abort() };
  },
};
