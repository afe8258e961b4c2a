/** The ways to a server that browsers have: each opens one connection, and tells what becomes of it. */
import { type Cursor, parseCursor } from "../protocol.ts";
import type { ConnectionEvents, UrlFor } from "./publisher.ts";

export type TransportName = "websocket" | "sse" | "polling";

export type Transport = (url: UrlFor, cursor: Cursor | null, events: ConnectionEvents) => { close(): void };

/** How long an answer may be kept back, in seconds. */
const WAIT_S = 20;
/** How soon to ask again, at most, after something has come: the page may be a busy one. */
const AGAIN_MS = 500;
/** The same after nothing has come, and too soon: something in between did not let the answer wait. */
const NOTHING_MS = 2_000;

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
    const { signal } = abort;
    let timer: ReturnType<typeof setTimeout>;
    // The first answer comes at once, and shows that answers come.
    let wait = 0;
    let mostWait = WAIT_S;
    let isFirst = true;
    const poll = async () => {
      const asked = Date.now();
      try {
        const response = await fetch(`${url("updates", cursor)}&wait=${wait}`, { signal, cache: "no-cache" });
        const text = await response.text();
        const frame = JSON.parse(text);
        if (!response.ok || signal.aborted) return lost();
        receive(text);
        if (frame.retry) return lost();
        const pause = isFirst ? 0 : frame.cursor === cursor || frame.reset ? NOTHING_MS : AGAIN_MS;
        isFirst = false;
        wait = mostWait;
        // Not the page's cursor: while it answers a reset, that stays where it was.
        // Asked without one, the server would tell where the page is, and what was missed would stay so.
        if (parseCursor(frame.cursor)) cursor = frame.cursor;
        if (signal.aborted) return;
        timer = setTimeout(poll, Math.max(0, pause * (0.75 + Math.random() / 2) - (Date.now() - asked)));
      } catch {
        // What cuts off who is silent does not cut off who does not wait.
        if (!wait || signal.aborted) lost();
        else {
          wait = mostWait = 0;
          timer = setTimeout(poll, Math.random() * AGAIN_MS);
        }
      }
    };
    void poll();
    return {
      close() {
        clearTimeout(timer);
        abort.abort();
      },
    };
  },
};
