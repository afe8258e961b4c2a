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
    if (transport.topics) publish(channel.id, transport, current, frames, before);
    else if (frames.parts && !transport.join) sendEach(current, framesFor(frames, transport), before);
    else send(current, frameFor(frames, transport), before);
    counts.frames += current.size;
    if (frames.isReset) counts.resets += current.size;
  }
}

/** Looks at nothing but connections, for each object more that is looked at costs a delivery a miss of the processor's cache. */
function send(current: Current, frame: unknown, before: Cursor): void {
  for (const connection of current.keys()) {
    if (isFull(connection)) fallBehind(current.get(connection)!, before);
    else connection.send(frame);
  }
}

function sendEach(current: Current, frames: readonly unknown[], before: Cursor): void {
  for (const connection of current.keys()) {
    if (isFull(connection)) fallBehind(current.get(connection)!, before);
    else for (const frame of frames) connection.send(frame);
  }
}

/** Not before those whose sockets are full have left. */
function publish(
  topic: string,
  transport: Transport<unknown>,
  current: Current,
  frames: Frames,
  before: Cursor,
): void {
  for (const [connection, member] of current) if (isFull(connection)) fallBehind(member, before);
  const each = framesFor(frames, transport);
  if (transport.topics!.publish(topic, each)) return;
  for (const connection of current.keys()) for (const frame of each) connection.send(frame);
}

function framesFor(frames: Frames, transport: Transport<unknown>): unknown[] {
  return (frames.parts ?? [frames]).map((part) => frameFor(part, transport));
}
