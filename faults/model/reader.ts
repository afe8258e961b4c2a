/**
 * A reader written from PROTOCOL.md alone: it shares no code with `src/`. The numbers in brackets are the rules of its
 * section 6.
 */
import type { Frame } from "../frame.ts";
import type { Clock } from "./clock.ts";
import type { Line, Network, Opened } from "./network.ts";
import { markOf, type Seen } from "./truth.ts";

export type TransportName = "websocket" | "sse" | "polling";

/** A page that somebody has open: by the model of a reader, or by the real client. */
export interface OpenPage {
  /** Newest first, as on the page. */
  readonly posts: readonly Seen[];
  readonly cursor: string;
  /** Nobody looks at it for long: it lets its connection go. */
  hide(): void;
  show(): void;
  /** Goes on over another transport, where it is up to the reader. */
  use(transport: TransportName): void;
  close(): void;
}

interface Copy {
  readonly cursor: string;
  readonly posts: Map<string, Seen>;
}

interface CursorParts {
  readonly epoch: string;
  readonly seq: number;
}

interface Resync {
  readonly head: string;
  readonly buffer: Frame[];
}

const SILENCE_MS = 60_000;

export interface ReaderParts {
  readonly line: Line;
  readonly network: Network;
  readonly clock: Clock;
  readonly random: () => number;
  readonly channel: string;
  readonly html: string;
  readonly transport: TransportName;
  /** Called whenever what it shows may have changed. */
  readonly changed: () => void;
}

export function modelReader(parts: ReaderParts): OpenPage {
  const { line, network, clock, random, channel, changed } = parts;
  let { transport } = parts;
  let { posts, cursor } = readPage(parts.html);
  let isOpen = true;
  let isHidden = false;
  let attempts = 0;
  let retry: readonly [number, number] | undefined;
  /** The connection held; frames of others are dropped. */
  let held: object | undefined;
  let opened: Opened | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let resync: Resync | undefined;
  /** The last word of the connection held about where it is. */
  let told: CursorParts | undefined;

  function leave(): void {
    clearTimeout(timer);
    held = resync = told = undefined;
    opened?.close();
    opened = undefined;
  }

  function connect(): void {
    leave();
    if (!isOpen || isHidden) return;
    const own = {};
    held = own;
    told = partsOf(cursor);
    const openedAt = clock.now();
    const isHeld = () => held === own;
    const lost = () => {
      if (!isHeld()) return;
      if (clock.now() - openedAt >= 10_000) attempts = 0;
      comeBack();
    };
    const silent = () => {
      clearTimeout(timer);
      timer = setTimeout(lost, SILENCE_MS);
    };
    const received = (text: string) => {
      if (!isHeld()) return;
      silent();
      take(JSON.parse(text), lost);
    };
    silent();
    const path = (kind: string) => `/${kind}/channel/${encodeURIComponent(channel)}/`;
    const events = { opened() {}, received, lost };
    if (transport === "websocket") {
      opened = network.socket(line, `${path("ws")}?cursor=${encodeURIComponent(cursor)}`, events);
    } else if (transport === "sse") {
      opened = network.stream(line, path("sse"), cursor, events);
    } else {
      const abort = new AbortController();
      opened = { close: () => abort.abort() };
      void poll(path("updates"), isHeld, received, lost, abort.signal);
    }
  }

  async function poll(
    path: string,
    isHeld: () => boolean,
    received: (text: string) => void,
    lost: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    // Asked with the cursor of the frame got last on this transport.
    let last = cursor;
    while (isHeld()) {
      try {
        const answer = await network.get(line, `${path}?cursor=${encodeURIComponent(last)}&wait=20`, signal);
        if (answer.status !== 200) return lost();
        const frame: Frame = JSON.parse(answer.text);
        const isNothing = frame.cursor === last;
        last = frame.cursor ?? last;
        received(answer.text);
        if (frame.retry) return lost();
        if (isNothing) await clock.sleep(2_000);
      } catch {
        return lost();
      }
    }
  }

  /** [3] */
  function comeBack(): void {
    leave();
    if (!isOpen || isHidden) return;
    const [min, max] = retry ?? [0, Math.min(30_000, 500 * 2 ** attempts++)];
    retry = undefined;
    timer = setTimeout(connect, min + random() * (max - min));
  }

  function take(frame: Frame, reconnect: () => void): void {
    if (frame.retry) retry = frame.retry;
    const [own, its] = [partsOf(cursor), partsOf(frame.cursor ?? "")];
    // [2] Not about its own cursor.
    if (frame.reset && !resync && own && told && own.seq > told.seq) {
      reconnect();
      return;
    }
    if (frame.cursor) attempts = 0;
    if (frame.reset) {
      resync = { head: frame.cursor!, buffer: [] };
      told = its;
      void catchUp(resync, reconnect);
    } else if (resync) resync.buffer.push(frame);
    else follow(frame, reconnect);
  }

  /** [2] `false`: the connection is left. */
  function follow(frame: Frame, reconnect: () => void): boolean {
    const [own, its, before] = [partsOf(cursor), partsOf(frame.cursor ?? ""), told];
    told = its ?? told;
    if (own && its) {
      const isHeartbeat = Object.keys(frame.renders).length + frame.removals.length === 0;
      const isElsewhere = own.epoch !== its.epoch || (isHeartbeat && its.seq < own.seq);
      if (before && own.seq > before.seq && isElsewhere) {
        reconnect();
        return false;
      }
      if (own.epoch === its.epoch && its.seq <= own.seq) return true;
    }
    for (const [id, { show, content, at }] of Object.entries(frame.renders)) {
      posts.set(id, { id, at, show, mark: show ? markOf(content) : "" });
    }
    for (const id of frame.removals) posts.delete(id);
    cursor = frame.cursor ?? cursor;
    changed();
    return true;
  }

  /** [4] */
  async function catchUp(own: Resync, reconnect: () => void): Promise<void> {
    await clock.sleep(random() * 2_000);
    const reset = partsOf(own.head)!;
    for (let attempt = 0; resync === own; attempt++) {
      const copy = await fetchPage(own.head);
      if (resync !== own) return;
      const its = copy && partsOf(copy.cursor);
      const isNamed = own.buffer.some((frame) => partsOf(frame.cursor ?? "")?.epoch === its?.epoch);
      if (copy && its && (its.epoch === reset.epoch ? its.seq >= reset.seq : isNamed)) {
        resync = undefined;
        posts = copy.posts;
        cursor = copy.cursor;
        changed();
        for (const frame of own.buffer) if (!follow(frame, reconnect)) return;
        return;
      }
      await clock.sleep(random() * Math.min(30_000, 500 * 2 ** attempt));
    }
  }

  async function fetchPage(at: string): Promise<Copy | undefined> {
    try {
      const { status, text } = await network.get(line, `/live/${channel}/?at=${at}`);
      return status === 200 ? readPage(text) : undefined;
    } catch {
      return undefined;
    }
  }

  connect();
  return {
    get posts() {
      return [...posts.values()].sort((a, b) => b.at - a.at);
    },
    get cursor() {
      return cursor;
    },
    hide() {
      isHidden = true;
      leave();
    },
    show() {
      if (!isHidden) return;
      isHidden = false;
      attempts = 0;
      connect();
    },
    use(next) {
      transport = next;
      connect();
    },
    close() {
      isOpen = false;
      leave();
    },
  };
}

function partsOf(cursor: string): CursorParts | undefined {
  const dot = cursor.lastIndexOf(".");
  return dot < 0 ? undefined : { epoch: cursor.slice(0, dot), seq: Number(cursor.slice(dot + 1)) };
}

/** Reads the HTML of the end of PROTOCOL.md. */
export function readPage(html: string): Copy {
  const cursor = /data-cursor="([^"]*)"/.exec(html)?.[1] ?? "";
  const posts = new Map<string, Seen>();
  for (const wrapper of html.split('<div class="live-post-wrapper"').slice(1)) {
    const [, at, hidden] = /^ data-at="(\d+)"( hidden)?>/.exec(wrapper)!;
    const id = unquoted(/data-post-id="([^"]*)"/.exec(wrapper)![1]!);
    posts.set(id, { id, at: Number(at), show: !hidden, mark: hidden ? "" : markOf(wrapper) });
  }
  return { cursor, posts };
}

function unquoted(text: string): string {
  const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (_, code, name) =>
    code ? String.fromCharCode(code) : named[name]!,
  );
}
