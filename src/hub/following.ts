/**
 * How a page's head moves: by what the bus announces, while it is next in order; by what the log answers, when it is not.
 */
import { type Announcement, parseCursor } from "../protocol.ts";
import type { Asking } from "./asking.ts";
import { type Channel, type Member, setHead } from "./channel.ts";
import { sendToCurrent } from "./fan-out.ts";
import { type Frames, framesOf, joined } from "./frames.ts";
import type { Counts } from "./stats.ts";

/** The longest that an update waits for others, to be written with them. */
const MAX_REST_MS = 5;

export interface Following {
  /** The bus announces an update. */
  hear(channel: Channel, announcement: Announcement): void;
  /** Sends what is due now, instead of a little later. */
  flush(channel: Channel): void;
  /** There is reason to think that the log has more than the head. */
  refresh(channel: Channel): void;
}

export interface FollowingOptions {
  readonly asking: Asking;
  readonly counts: Counts;
  readonly catchUp: (member: Member) => void;
}

export function following({ asking, counts, catchUp }: FollowingOptions): Following {
  function hear(channel: Channel, announcement: Announcement): void {
    if (channel.head === "") {
      channel.again = true; // the head is being read, and may not include it
      return;
    }
    const { epoch, seq } = parseCursor(announcement.cursor) ?? { epoch: "", seq: 0 };
    if (epoch === channel.at.epoch) {
      const known = channel.at.seq + channel.due.length;
      if (seq <= known) return;
      if (seq === known + 1 && "renders" in announcement && !channel.refreshing) {
        counts.updates++;
        channel.due.push(framesOf(announcement));
        if (channel.due.length === 1) flushSoon(channel);
        return;
      }
    }
    // A gap, another epoch, or a cursor alone: the log knows.
    refresh(channel);
  }

  /**
   * What came in one turn of the event loop leaves in one write a reader: a lone update at once, many for the price of one.
   * Where many come, the next ones wait as long as these took to write: so more of them leave together.
   */
  function flushSoon(channel: Channel): void {
    const wait = channel.restsUntil - performance.now();
    if (wait > 0) setTimeout(flush, wait, channel);
    else setImmediate(flush, channel);
  }

  function flush(channel: Channel): void {
    const { due, steps } = channel;
    if (due.length === 0) return;
    const isMany = due.length > 1;
    const started = performance.now();
    let from = channel.head;
    for (const each of due) {
      steps.add(from, each);
      from = each.cursor;
    }
    const frames = due.length === 1 ? due[0]! : joined(due);
    channel.due.length = 0;
    advance(channel, frames);
    const ended = performance.now();
    channel.restsUntil = isMany ? ended + Math.min(ended - started, MAX_REST_MS) : 0;
  }

  /** Sends frames to all readers at the head; then that is the head. */
  function advance(channel: Channel, frames: Frames): void {
    const before = channel.head;
    setHead(channel, frames.cursor);
    sendToCurrent(channel, frames, before, counts);
    for (const member of channel.lagging) catchUp(member);
  }

  function refresh(channel: Channel): void {
    channel.again = true;
    if (channel.refreshing || channel.isQuiet) return;
    const quiet = channel.quietUntil - performance.now();
    if (quiet > 0) {
      channel.isQuiet = true;
      setTimeout(() => {
        channel.isQuiet = false;
        refresh(channel);
      }, quiet).unref();
      return;
    }
    flush(channel);
    channel.refreshing = true;
    void askForMore(channel);
  }

  async function askForMore(channel: Channel): Promise<void> {
    try {
      while (channel.again && !channel.isLeft) {
        channel.again = false;
        const asked = channel.head;
        const frames = await asking.since(channel, asked);
        if (frames.cursor !== asked) {
          counts.gaps++;
          channel.steps.learn(asked, frames, asked);
          advance(channel, frames);
        }
        channel.again ||= frames.more;
      }
    } catch (error) {
      // Asked again with the heads, a few seconds from now.
      asking.failed(channel, error, "refresh");
    } finally {
      channel.refreshing = false;
    }
  }

  return { hear, flush, refresh };
}
