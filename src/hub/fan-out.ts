/** Writes to readers: one, or all of a page that have been sent everything before. The hot path. */
import type { Cursor } from "../protocol.ts";
import { beginningOf, type Channel, fallBehind, isFull, type Member } from "./channel.ts";
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
  let transport: Transport<unknown> | undefined;
  let isPublished = false;
  let isJoined = true;
  let frame: unknown;
  let sent = 0;
  const published = new Set<Transport<unknown>>();
  for (const member of channel.current) {
    const connection = member.connection!;
    const isPassed = frames.isReset && member.transport.knowsNoReset;
    if (isPassed || isFull(connection)) {
      fallBehind(member, isPassed ? beginningOf(frames.cursor) : before);
      continue;
    }
    if (member.transport !== transport) {
      transport = member.transport;
      isPublished = transport.topics !== undefined;
      if (isPublished) published.add(transport);
      isJoined = frames.parts === undefined || transport.join !== undefined;
      frame = isJoined && !isPublished && frameFor(frames, transport);
    }
    sent++;
    if (isPublished) continue;
    if (isJoined) connection.send(frame);
    else for (const part of frames.parts!) connection.send(frameFor(part, transport));
  }
  // Not before those whose sockets are full have left.
  for (const each of published) publish(channel, frames, each);
  counts.frames += sent;
  if (frames.isReset) counts.resets += sent;
}

function publish(channel: Channel, frames: Frames, transport: Transport<unknown>): void {
  const each = (frames.parts ?? [frames]).map((part) => frameFor(part, transport));
  if (transport.topics!.publish(channel.id, each)) return;
  for (const { transport: own, connection } of channel.current) {
    if (own === transport) for (const frame of each) connection!.send(frame);
  }
}
