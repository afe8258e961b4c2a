/** Notices what changes on a page, whoever changes it: a reader of the page's own socket (PROTOCOL.md). */
import { backoff } from "../../client/backoff.ts";
import type { Cursor, Frame } from "../../protocol.ts";

export interface Watch {
  close(): void;
}

export interface Watcher {
  /** These posts have changed or are gone. */
  changed(postIds: readonly string[]): void;
  /** Anything may have changed. */
  reset(): void;
  /** Whether changes are being heard of now. */
  live(live: boolean): void;
}

/** Silence after which a connection counts as dead (heartbeats come every 25 s). */
const SILENCE = 60_000;

/** Follows the page from `cursor` on; after a lost connection it goes on from where it was. */
export function watch(channelId: string, cursor: Cursor, watcher: Watcher): Watch {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let window: readonly [number, number] | null = null;

  function later(milliseconds: number, then: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(then, milliseconds);
  }

  function open(): void {
    const base = location.origin.replace(/^http/, "ws");
    const url = `${base}/ws/channel/${encodeURIComponent(channelId)}/?cursor=${encodeURIComponent(cursor)}`;
    const mine = new WebSocket(url);
    socket = mine;
    later(SILENCE, () => lost(mine));
    mine.onopen = () => {
      if (socket === mine) watcher.live(true);
    };
    mine.onmessage = (event) => {
      if (socket !== mine) return;
      later(SILENCE, () => lost(mine));
      const frame = JSON.parse(String(event.data)) as Frame;
      attempt = 0;
      if (frame.cursor) cursor = frame.cursor;
      if (frame.retry) window = frame.retry;
      if (frame.reset) watcher.reset();
      const ids = [...Object.keys(frame.renders), ...frame.removals];
      if (ids.length > 0) watcher.changed(ids);
    };
    mine.onclose = () => lost(mine);
  }

  function lost(mine: WebSocket): void {
    if (socket !== mine) return;
    socket = null;
    mine.close();
    watcher.live(false);
    const [min, max] = window ?? [0, 0];
    later(window === null ? backoff(attempt) : min + Math.random() * (max - min), open);
    window = null;
    attempt += 1;
  }

  function online(): void {
    if (socket === null) open();
  }

  open();
  addEventListener("online", online);
  return {
    close() {
      removeEventListener("online", online);
      clearTimeout(timer);
      const mine = socket;
      socket = null;
      mine?.close();
    },
  };
}
