/**
 * A reader's page without a browser, written from PROTOCOL.md alone: it shares no code with what it reads from. It goes
 * from server to server and from transport to transport, and notes all it sees.
 */

import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import type { Frame } from "../frame.ts";
import type { Sighting, Standing, Step, Trace } from "./judge.ts";

export const TRANSPORTS = ["websocket", "sse", "polling"] as const;
export type Transport = (typeof TRANSPORTS)[number];

export interface Reader {
  readonly name: string;
  /** Of connections and requests that it has begun. */
  readonly attempts: number;
  /** Times that its cursor did not hold. */
  readonly resets: number;
  /** Windows that it was told to come back in, in milliseconds. */
  readonly windows: readonly (readonly [min: number, max: number])[];
  /** Connections and requests that were refused, or ended without such a word. */
  readonly broken: readonly string[];
  /** Leaves at once, and goes on elsewhere. */
  move(transport: Transport): void;
  /** Takes nothing more from its connection for so long, and keeps it open. */
  stall(ms: number): void;
  /** Leaves, and comes back after so long. */
  sleep(ms: number): void;
  trace(): Trace;
  end(): void;
}

interface Post {
  readonly at: number;
  readonly seen: Exclude<Sighting["seen"], "removed">;
}

interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** What a connection has brought: in all, and of what the page has followed. */
interface Told {
  last: Cursor | null;
  followed: Cursor | null;
}

export interface ReaderOptions {
  readonly name: string;
  readonly channel: string;
  readonly transport: Transport;
  /** `host:port` of the servers; when one fails, the next is tried. */
  readonly hosts: readonly string[];
}

const SILENCE_MS = 60_000;

/** Loads the page, then follows it. */
export async function startReader({ name, channel, transport, hosts }: ReaderOptions): Promise<Reader> {
  const posts = new Map<string, Post>();
  const steps: Step[] = [];
  const doubled: string[] = [];
  const away: [number, number][] = [];
  const windows: (readonly [number, number])[] = [];
  const broken: string[] = [];
  const path = encodeURIComponent(channel);
  let cursor: string | undefined;
  let way = transport;
  let turn = hosts.length;
  let attempts = 0;
  let failures = 0;
  let resets = 0;
  let hasEnded = false;
  /** Of the connection it holds; aborted when that is left. */
  let current = new AbortController();
  let retry: readonly [number, number] | undefined;
  let wake = 0;
  /** While it resyncs: what comes meanwhile. */
  let buffer: Frame[] | undefined;
  let pause: ((isPaused: boolean) => void) | undefined;

  // --- the page ----------------------------------------------------------------------------------------

  function take(frame: Frame, connection: AbortController, told: Told): void {
    if (connection !== current || connection.signal.aborted) return;
    if (frame.retry) {
      retry = frame.retry;
      windows.push(frame.retry);
      return;
    }
    const its = parse(frame.cursor);
    if (frame.reset) {
      const own = parse(cursor);
      // Rule 2: it is not about its own cursor.
      if (!buffer && own && isBeyond(own, told.followed)) {
        connection.abort();
        return;
      }
      resets++;
      told.last = told.followed = its;
      buffer = [];
      void resync(frame.cursor!, connection, told);
      return;
    }
    // Nothing comes twice on one connection.
    const { last } = told;
    if (!isEmpty(frame) && its && last && its.epoch === last.epoch && its.seq <= last.seq)
      doubled.push(`${frame.cursor} came twice`);
    told.last = its ?? last;
    if (buffer) buffer.push(frame);
    else follow(frame, connection, told);
  }

  /** Rule 2. `false`: the connection is left. */
  function follow(frame: Frame, connection: AbortController, told: Told): boolean {
    const [own, its, before] = [parse(cursor), parse(frame.cursor), told.followed];
    told.followed = its ?? before;
    if (own && its) {
      const isElsewhere = its.epoch !== own.epoch || (isEmpty(frame) && its.seq < own.seq);
      if (isElsewhere && isBeyond(own, before)) {
        connection.abort();
        return false;
      }
      if (its.epoch === own.epoch && its.seq <= own.seq) return true;
    }
    apply(frame);
    return true;
  }

  function apply({ renders, removals, cursor: next }: Frame): void {
    const sightings: Sighting[] = [];
    for (const [id, { show, content, at }] of Object.entries(renders)) {
      const post = { at, seen: lookOf(show, content) };
      posts.set(id, post);
      sightings.push({ id, ...post });
    }
    for (const id of removals) {
      posts.delete(id);
      // Also of a post that came and went unseen: that it may be missing is known from here on.
      sightings.push({ id, seen: "removed" });
    }
    if (next) cursor = next;
    note(sightings);
  }

  function note(sightings: readonly Sighting[]): void {
    steps.push({ time: Date.now(), seq: parse(cursor)?.seq ?? null, sightings });
  }

  function reconcile(html: string): void {
    const fresh = postsOf(html);
    const gone = [...posts.keys()].filter((id) => !fresh.has(id));
    posts.clear();
    for (const [id, post] of fresh) posts.set(id, post);
    note([
      ...[...fresh].map(([id, post]) => ({ id, ...post })),
      ...gone.map((id) => ({ id, seen: "removed" as const })),
    ]);
  }

  async function load(query = ""): Promise<string> {
    const url = `http://${hosts[turn % hosts.length]}/live/${path}/${query}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return response.text();
  }

  /** Rule 4. */
  async function resync(head: string, connection: AbortController, told: Told): Promise<void> {
    const due = parse(head)!;
    for (let tries = 0; !connection.signal.aborted; tries++) {
      await wait(Math.random() * Math.min(2_000 * 2 ** tries, 30_000));
      const html = await load(`?at=${encodeURIComponent(head)}`).catch(() => undefined);
      if (connection.signal.aborted || buffer === undefined) return;
      if (html === undefined) continue;
      const its = parse(cursorOf(html));
      const isKnown =
        its?.epoch === due.epoch || buffer.some((frame) => parse(frame.cursor)?.epoch === its?.epoch);
      if (!its || !isKnown || (its.epoch === due.epoch && its.seq < due.seq)) continue;
      cursor = cursorOf(html);
      reconcile(html);
      const kept = buffer;
      buffer = undefined;
      for (const frame of kept) if (!follow(frame, connection, told)) return;
      return;
    }
  }

  // --- the connection ------------------------------------------------------------------------------------

  /** Rule 3: holds one connection after the other until the end. */
  async function hold(): Promise<void> {
    while (!hasEnded) {
      while (wake > Date.now()) await wait(wake - Date.now());
      const connection = new AbortController();
      current = connection;
      buffer = undefined;
      retry = undefined;
      attempts++;
      const began = Date.now();
      const told: Told = { last: parse(cursor), followed: parse(cursor) };
      let isSteady = false;
      const receive = (text: string) => {
        isSteady = true;
        take(JSON.parse(text), connection, told);
      };
      const end = await HOLD[way](receive, connection).then(
        () => "ended",
        (error: Error) => `${error.message} ${(error.cause as Error | undefined)?.message ?? ""}`.trim(),
      );
      if (!retry && !connection.signal.aborted) broken.push(`${way}: ${end}`);
      connection.abort();
      pause = undefined;
      if (hasEnded) return;
      if (wake > Date.now()) continue;
      failures = isSteady || Date.now() - began > 10_000 ? 0 : failures + 1;
      turn++;
      const [min, max] = (retry as readonly [number, number] | undefined) ?? [
        0,
        Math.min(30_000, 500 * 2 ** failures),
      ];
      await wait(min + Math.random() * (max - min));
    }
  }

  const query = () => `cursor=${encodeURIComponent(cursor ?? "")}`;
  const host = () => hosts[turn % hosts.length];

  const HOLD: Readonly<
    Record<Transport, (receive: (text: string) => void, on: AbortController) => Promise<void>>
  > = {
    websocket: (receive, connection) =>
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://${host()}/ws/channel/${path}/?${query()}`, {
          handshakeTimeout: 10_000,
        });
        let silence = setTimeout(() => connection.abort(), SILENCE_MS);
        socket.on("message", (data) => {
          silence.refresh();
          receive(String(data));
        });
        socket.on("error", () => {});
        socket.on("close", () => {
          clearTimeout(silence);
          resolve();
        });
        pause = (isPaused) => {
          if (socket.readyState !== WebSocket.OPEN) return;
          if (isPaused) {
            socket.pause();
            clearTimeout(silence);
          } else {
            socket.resume();
            silence = setTimeout(() => connection.abort(), SILENCE_MS);
          }
        };
        connection.signal.addEventListener("abort", () => socket.terminate());
      }),

    async sse(receive, connection) {
      const response = await fetch(`http://${host()}/sse/channel/${path}/?${query()}`, {
        signal: AbortSignal.any([connection.signal, AbortSignal.timeout(600_000)]),
      });
      if (!response.ok) throw new Error(`SSE was answered ${response.status}`);
      let isPaused: Promise<void> | undefined;
      let go = () => {};
      pause = (state) => {
        if (state) isPaused = new Promise((resolve) => (go = resolve));
        else {
          isPaused = undefined;
          go();
        }
      };
      const silence = setTimeout(() => connection.abort(), SILENCE_MS);
      let text = "";
      try {
        for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
          silence.refresh();
          text += chunk;
          const events = text.split("\n\n");
          text = events.pop()!;
          for (const event of events) {
            const data = event.split("\n").filter((line) => line.startsWith("data:"));
            if (data.length > 0) receive(data.map((line) => line.slice(5).trimStart()).join("\n"));
          }
          await isPaused;
          silence.refresh();
        }
      } finally {
        clearTimeout(silence);
      }
    },

    async polling(receive, connection) {
      // What this transport has brought, not the page's own.
      let last = cursor ?? "";
      while (!connection.signal.aborted) {
        const url = `http://${host()}/updates/channel/${path}/?cursor=${encodeURIComponent(last)}&wait=20`;
        const response = await fetch(url, {
          signal: AbortSignal.any([connection.signal, AbortSignal.timeout(40_000)]),
        });
        if (!response.ok) throw new Error(`polling was answered ${response.status}`);
        const text = await response.text();
        const asked = last;
        last = (JSON.parse(text) as Frame).cursor ?? last;
        receive(text);
        if (retry) return;
        if (last === asked) await wait(500);
      }
    },
  };

  let html: string | undefined;
  for (let tries = 0; html === undefined; tries++) {
    html = await load().catch((error) => {
      if (tries > 50) throw error;
      turn++;
      return wait(200);
    });
  }
  cursor = cursorOf(html);
  reconcile(html);
  const holding = hold();

  return {
    name,
    get attempts() {
      return attempts;
    },
    get resets() {
      return resets;
    },
    windows,
    broken,
    move(next) {
      way = next;
      turn++;
      current.abort();
    },
    stall(ms) {
      away.push([Date.now(), Date.now() + ms]);
      const paused = pause;
      paused?.(true);
      setTimeout(() => paused?.(false), ms);
    },
    sleep(ms) {
      wake = Date.now() + ms;
      away.push([Date.now(), wake]);
      current.abort();
    },
    trace: () => ({ reader: name, steps, doubled, misplaced: [], away, final: standing(posts) }),
    end() {
      hasEnded = true;
      current.abort();
      void holding;
    },
  };
}

function standing(posts: ReadonlyMap<string, Post>): Standing[] {
  return [...posts]
    .filter((entry): entry is [string, Post & { seen: number }] => typeof entry[1].seen === "number")
    .sort(([, a], [, b]) => b.at - a.at)
    .map(([id, { seen }]) => [id, seen]);
}

function parse(cursor: string | undefined): Cursor | null {
  const [, epoch, seq] = /^([\w-]+)\.(\d+)$/.exec(cursor ?? "") ?? [];
  return epoch === undefined ? null : { epoch, seq: Number(seq) };
}

const isEmpty = ({ renders, removals }: Frame) => Object.keys(renders).length + removals.length === 0;

const isBeyond = ({ seq }: Cursor, other: Cursor | null) => other !== null && seq > other.seq;

/** Whatever it says of itself: a text that is there can be read, and one that is not cannot. */
function lookOf(show: boolean, content: string): Post["seen"] {
  const [, mark] = /⟦(\d+)⟧/.exec(content) ?? [];
  if (mark !== undefined) return Number(mark);
  return show ? "blank" : "hidden";
}

function cursorOf(html: string): string | undefined {
  return /id="live-posts"[^>]*data-cursor="([^"]*)"/.exec(html)?.[1];
}

/** Of the page's HTML, as PROTOCOL.md shows it. */
function postsOf(html: string): Map<string, Post> {
  const posts = new Map<string, Post>();
  const [, ...wrappers] = html.split('<div class="live-post-wrapper"');
  for (const wrapper of wrappers) {
    const [, attributes = "", inner = ""] = /^([^>]*)>(.*)/s.exec(wrapper)!;
    const at = Number(/data-at="(\d+)"/.exec(attributes)![1]);
    const id = /data-post-id="([^"]*)"/.exec(inner)![1]!;
    posts.set(id, { at, seen: lookOf(!/\shidden\b/.test(attributes), inner) });
  }
  return posts;
}
