/** Writes to readers: one, or all of a page that have been sent everything before. The hot path. */
import type { Cursor } from "../protocol.ts";
import { beginningOf, type Channel, type Current, fallBehind, isFull, type Member } from "./channel.ts";
import type { Transport } from "./connection.ts";
import { type Frames, frameFor } from "./frames.ts";
import type { Counts } from "./stats.ts";

export function write(member: Member, frames: Frames, counts: Counts): void {
  counts.frames++;
  member.isGreeted = true;
  if (frames.isReset) counts.resets++;
  member.connection!.send(frameFor(frames, member.transport));
}

/** Whose socket is full lags from `before`, where all of them are. */
export function sendToCurrent(channel: Channel, frames: Frames, before: Cursor, counts: Counts): void {
  channel.lastFrame = performance.now();
  for (const [transport, current] of channel.current) {
    if (frames.isReset && transport.knowsNoReset) {
      const beginning = beginningOf(frames.cursor);
      for (const member of current.values()) fallBehind(member, beginning);
      continue;
    }
    const sent = transport.topics
      ? publish(channel.id, transport, current, frames, before)
      : frames.parts && !transport.join
        ? sendEach(current, framesFor(frames, transport), before)
        : send(current, frameFor(frames, transport), before);
    counts.frames += sent;
    if (frames.isReset) counts.resets += sent;
  }
}

// Each answers to how many it wrote: who is answered once, as a poll is, has left when it has been written to.

/** Looks at nothing but connections, for each object more that is looked at costs a delivery a miss of the processor's cache. */
function send(current: Current, frame: unknown, before: Cursor): number {
  let sent = 0;
  for (const connection of current.keys()) {
    if (isFull(connection)) fallBehind(current.get(connection)!, before);
    else {
      sent++;
      connection.send(frame);
    }
  }
  return sent;
}

function sendEach(current: Current, frames: readonly unknown[], before: Cursor): number {
  let sent = 0;
  for (const connection of current.keys()) {
    if (isFull(connection)) fallBehind(current.get(connection)!, before);
    else {
      sent++;
      for (const frame of frames) connection.send(frame);
    }
  }
  return sent;
}

/** Not before those whose sockets are full have left. */
function publish(
  topic: string,
  transport: Transport<unknown>,
  current: Current,
  frames: Frames,
  before: Cursor,
): number {
  for (const [connection, member] of current) if (isFull(connection)) fallBehind(member, before);
  const each = framesFor(frames, transport);
  const readers = current.size;
  return transport.topics!.publish(topic, each) ? readers : sendEach(current, each, before);
}

function framesFor(frames: Frames, transport: Transport<unknown>): unknown[] {
  return (frames.parts ?? [frames]).map((part) => frameFor(part, transport));
}
