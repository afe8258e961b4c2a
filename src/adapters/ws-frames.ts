/** WebSocket frames as a server sends them: whole messages, not masked (RFC 6455, 5.2), made once for all readers. */
import { constants, deflateRawSync } from "node:zlib";
import type { Transport } from "../hub/connection.ts";

const TEXT = 0x81;
const BINARY = 0x82;
/** The bit of a message that is compressed (RFC 7692, 6). */
const DEFLATED = 0x40;
/** Of what is shorter there is little to gain. */
const MIN_DEFLATED = 256;
const LEVEL = 4;
/** What each message ends with, and receivers put there themselves (RFC 7692, 7.2.1). */
const TAIL_BYTES = 4;

export const wsTransport: Transport<Buffer> = {
  encode: textFrame,
  join: (frames) => Buffer.concat(frames),
};

export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = frameFor(TEXT, length);
  frame.write(text, frame.length - length);
  return frame;
}

/** A frame whose payload is yet to be written, at its end. */
function frameFor(kind: number, length: number): Buffer {
  const start = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafeSlow(start + length);
  frame[0] = kind;
  if (start === 2) frame[1] = length;
  else if (start === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  return frame;
}

const known = new WeakMap<Buffer, Buffer>();
let last: { readonly frames: Buffer; readonly deflated: Buffer } | undefined;

/**
 * The same frames for readers that agreed to permessage-deflate without context takeover: compressed once for all of them,
 * each by itself, where it pays.
 */
export function deflated(frames: Buffer): Buffer {
  if (last?.frames === frames) return last.deflated;
  let made = known.get(frames);
  if (made === undefined) {
    made = deflateAll(frames);
    known.set(frames, made);
  }
  last = { frames, deflated: made };
  return made;
}

function deflateAll(frames: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < frames.length; ) {
    const { start, end } = payloadAt(frames, at);
    const kind = frames[at]!;
    // Another transport's frames may be parts of messages, or compressed already.
    const pays = end - start >= MIN_DEFLATED && (kind === TEXT || kind === BINARY);
    parts.push(pays ? deflatedFrame(kind, frames.subarray(start, end)) : frames.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}

/** Where the payload of the frame at `at` is. */
function payloadAt(frames: Buffer, at: number): { start: number; end: number } {
  const size = frames[at + 1]!;
  if (size < 126) return { start: at + 2, end: at + 2 + size };
  if (size === 126) return { start: at + 4, end: at + 4 + frames.readUInt16BE(at + 2) };
  return { start: at + 10, end: at + 10 + Number(frames.readBigUInt64BE(at + 2)) };
}

function deflatedFrame(kind: number, payload: Buffer): Buffer {
  const bytes = deflateRawSync(payload, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH });
  const length = bytes.length - TAIL_BYTES;
  const frame = frameFor(kind | DEFLATED, length);
  bytes.copy(frame, frame.length - length, 0, length);
  return frame;
}
