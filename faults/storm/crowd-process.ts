/**
 * Thousands of readers in a process of their own, on WebSockets, by the rules of PROTOCOL.md. What they have in common is
 * kept once: a frame is read once however many get it, and readers whose pages are equal hold one page.
 */

import { WebSocket } from "ws";
import type { Frame } from "../frame.ts";
import type { CrowdReport, FromCrowd, ToCrowd } from "./crowd.ts";

/** What a reader shows: of each post its place and its mark. */
interface Page {
  readonly posts: ReadonlyMap<string, { readonly at: number; readonly mark: number }>;
  /** The highest mark. */
  readonly mark: number;
  /** What a frame makes of it. */
  readonly after: Map<Frame, Page>;
}

interface Reader {
  page: Page;
  cursor: string;
  attempts: number;
  failures: number;
  /** When it lost its connection, and when it was equal to the store again. */
  lostAt: number;
  backAt: number;
  /** When it is to try first, after that loss. */
  dueAt: number;
}

const EMPTY: Page = { posts: new Map(), mark: -1, after: new Map() };
const FRAMES_KEPT = 2_000;

const readers: Reader[] = [];
const joinedWith = new Set<string>();
const breaches = new Set<string>();
let url = "";
/** The highest mark that the newsroom has been told is on disk. */
let acknowledged = -1;
let resets = 0;
let isStorm = false;
let waitingFor = 0;

// --- what they have in common ------------------------------------------------------------------------------

const frames = new Map<string, Frame>();
let last: { readonly bytes: Buffer; readonly frame: Frame } | undefined;

function read(bytes: Buffer): Frame {
  if (last?.bytes.equals(bytes)) return last.frame;
  const text = bytes.toString();
  const frame: Frame = frames.get(text) ?? JSON.parse(text);
  frames.delete(text);
  frames.set(text, frame);
  for (const oldest of frames.keys()) {
    if (frames.size <= FRAMES_KEPT) break;
    frames.delete(oldest);
  }
  last = { bytes, frame };
  return frame;
}

const known = new Map<string, WeakRef<Page>>();

function apply(page: Page, frame: Frame): Page {
  const seen = page.after.get(frame);
  if (seen) return seen;
  const posts = new Map(page.posts);
  let { mark: highest } = page;
  for (const [id, { content, at }] of Object.entries(frame.renders)) {
    const mark = Number(/⟦(\d+)⟧/.exec(content)![1]);
    const before = posts.get(id);
    if (before && before.mark > mark) breaches.add(`${id} is ⟦${mark}⟧ after ⟦${before.mark}⟧`);
    if (before && before.at !== at) breaches.add(`${id} moved from ${before.at} to ${at}`);
    posts.set(id, { at, mark });
    highest = Math.max(highest, mark);
  }
  for (const id of frame.removals) posts.delete(id);
  const key = [...posts].map(([id, { mark }]) => `${id} ${mark}`).sort();
  const name = key.join();
  const next = known.get(name)?.deref() ?? { posts, mark: highest, after: new Map() };
  known.set(name, new WeakRef(next));
  page.after.set(frame, next);
  return next;
}

// --- one reader --------------------------------------------------------------------------------------------

function connect(reader: Reader): void {
  reader.attempts++;
  if (isStorm) joinedWith.add(reader.cursor);
  const began = performance.now();
  const socket = new WebSocket(`${url}?cursor=${encodeURIComponent(reader.cursor)}`, {
    perMessageDeflate: false,
    skipUTF8Validation: true,
  });
  let retry: readonly [number, number] | undefined;
  let isSteady = false;
  let told = reader.cursor;
  socket.on("open", () => {
    if (--waitingFor === 0) send({ kind: "joined" });
  });
  socket.on("message", (data: Buffer) => {
    const frame = read(data);
    if (frame.retry) {
      retry = frame.retry;
      return;
    }
    isSteady = true;
    if (frame.reset) {
      // Nothing of what this harness does gives cause for one.
      resets++;
      reader.cursor = frame.cursor!;
      return;
    }
    if (!frame.cursor) return;
    const isEmpty = Object.keys(frame.renders).length + frame.removals.length === 0;
    if (!isEmpty && !isBeyond(frame.cursor, told)) breaches.add(`${frame.cursor} came after ${told}`);
    told = frame.cursor;
    if (!isBeyond(frame.cursor, reader.cursor)) return;
    reader.page = apply(reader.page, frame);
    reader.cursor = frame.cursor;
    if (reader.lostAt > 0 && reader.backAt === 0 && reader.page.mark >= acknowledged) {
      reader.backAt = Date.now();
      if (readers.every(({ backAt }) => backAt > 0)) send({ kind: "back" });
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    if (isSteady || performance.now() - began >= 10_000) reader.failures = 0;
    const [min, max] = retry ?? [];
    const pause =
      min === undefined || max === undefined
        ? Math.random() * Math.min(30_000, 500 * 2 ** reader.failures++)
        : min + Math.random() * (max - min);
    if (isStorm && reader.lostAt === 0) {
      reader.lostAt = Date.now();
      reader.dueAt = reader.lostAt + pause;
    }
    setTimeout(connect, pause, reader);
  });
}

/** Whether a cursor is beyond another: in another epoch, the server's word is taken. */
function isBeyond(cursor: string, other: string): boolean {
  const [epoch, seq] = cursor.split(".");
  const [otherEpoch, otherSeq] = other.split(".");
  return epoch !== otherEpoch || Number(seq) > Number(otherSeq);
}

// --- the crowd ---------------------------------------------------------------------------------------------

function report(): CrowdReport {
  const pages = new Map<Page, number>();
  for (const { page } of readers) pages.set(page, (pages.get(page) ?? 0) + 1);
  return {
    readers: readers.map(({ attempts, lostAt, backAt, dueAt }) => ({ attempts, lostAt, backAt, dueAt })),
    pages: [...pages].map(([{ posts }, count]) => ({
      count,
      shown: [...posts].sort(([, a], [, b]) => b.at - a.at).map(([id, { mark }]) => [id, mark] as const),
    })),
    joinedWith: [...joinedWith],
    resets,
    breaches: [...breaches],
  };
}

function send(message: FromCrowd): void {
  process.send!(message);
}

process.on("message", (message: ToCrowd) => {
  if (message.kind === "join") {
    url = message.url;
    waitingFor = message.readers;
    for (let n = 0; n < message.readers; n++) {
      const reader = {
        page: EMPTY,
        cursor: message.cursor,
        attempts: 0,
        failures: 0,
        lostAt: 0,
        backAt: 0,
        dueAt: 0,
      };
      readers.push(reader);
      // A few hundred a second: this is not the storm yet.
      setTimeout(connect, n * 2, reader);
    }
  } else if (message.kind === "storm") {
    isStorm = true;
    for (const reader of readers) {
      reader.attempts = 0;
      reader.lostAt = reader.backAt = reader.dueAt = 0;
    }
    send({ kind: "ready" });
  } else if (message.kind === "acknowledged") {
    acknowledged = message.mark;
  } else {
    send({ kind: "report", report: report() });
  }
});
process.on("disconnect", () => process.exit());
send({ kind: "ready" });
