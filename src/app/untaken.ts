/** Answers that their readers do not take: how much of them this process holds. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { periodic } from "../adapters/periodic.ts";

/** Beyond that, who has taken nothing for longest is cut off, until it is half. What the system holds for sockets is beside it. */
const MAX_HELD_BYTES = 256_000_000;
/** Smaller ones are not looked at. */
export const SMALL_BYTES = 4_096;
const LOOKED_AT_MS = 100;

interface Held {
  readonly socket: Socket;
  /** One for all who were given the same. */
  readonly bytes: Uint8Array;
  /** When it was last looked at; not before the system has taken what it has room for, which no reader need take. */
  unsent: number | undefined;
  /** When some of it was last seen to be taken; at first, when it was sent. */
  movedAt: number;
}

const all = periodic<Held>(LOOKED_AT_MS, look);
/** No less than all that is held: what has been taken since it was last counted is in it still. */
let atMost = 0;

/** Call before an answer goes out in one piece. */
export function holdAnswer(response: ServerResponse, bytes: Uint8Array): void {
  if (response.destroyed) return; // nothing would ever let go of it
  if (atMost + bytes.length > MAX_HELD_BYTES) makeRoom(bytes.length);
  atMost += bytes.length;
  const held = { socket: response.req.socket, bytes, unsent: undefined, movedAt: performance.now() };
  all.add(held);
  response.once("close", () => all.delete(held));
}

function look(held: Held): void {
  const unsent = unsentOf(held.socket);
  if (held.unsent !== undefined && unsent < held.unsent) held.movedAt = performance.now();
  held.unsent = unsent;
}

function makeRoom(wanted: number): void {
  const users = new Map<Uint8Array, number>();
  atMost = 0;
  for (const { bytes } of all) {
    const others = users.get(bytes) ?? 0;
    users.set(bytes, others + 1);
    if (others === 0) atMost += bytes.length;
  }
  if (atMost + wanted <= MAX_HELD_BYTES) return;
  for (const held of all) look(held);
  for (const held of [...all].sort((a, b) => a.movedAt - b.movedAt)) {
    if (atMost + wanted <= MAX_HELD_BYTES / 2) return;
    const others = users.get(held.bytes)! - 1;
    users.set(held.bytes, others);
    if (others === 0) atMost -= held.bytes.length;
    all.delete(held);
    held.socket.destroy();
  }
}

/** A large write counts to its end with the stream; what of it the system has taken meanwhile, only the handle knows. */
function unsentOf(socket: Socket): number {
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return Math.min(socket.writableLength, handle?.writeQueueSize || socket.writableLength);
}
