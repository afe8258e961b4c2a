/** Strangers: sockets that send what they like, and note how they are answered. */
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** How one ended: the close code of its WebSocket, else the status of the answer it got, else that it was cut off. */
export type Ending = number | "cut off" | "kept";

export interface Stranger {
  readonly socket: Socket;
  /** Writes, and resolves when it may write again, or the other side is gone. */
  send(bytes: Buffer | string): Promise<void>;
  readonly isGone: boolean;
  /** Answers over HTTP so far, among the first 64 kB. */
  answers(): number;
  /** Resolves when the connection has ended, or the patience has. */
  ending(patienceMs: number): Promise<Ending>;
}

const KEPT_BYTES = 65_536;

export interface StrangerOptions {
  /** Once the head of an answer is there, it reads a byte a second. */
  readonly isSlow?: boolean;
  /** Does not close when the other side does. */
  readonly isStubborn?: boolean;
}

/** @param from an address of the loopback, for limits go by address */
export async function stranger(
  port: number,
  from: string,
  { isSlow = false, isStubborn = false }: StrangerOptions = {},
): Promise<Stranger> {
  let beginning = "";
  let codes: CloseCodes | undefined;
  let isGone = false;
  const take = (chunk: Buffer) => {
    if (codes) return codes.take(chunk);
    if (beginning.length < KEPT_BYTES) beginning += chunk.toString("latin1");
    const [head, rest] = /^HTTP\/1\.1 101 [\s\S]*?\r\n\r\n([\s\S]*)$/.exec(beginning) ?? [];
    if (head === undefined) return;
    codes = closeCodes();
    codes.take(Buffer.from(rest!, "latin1"));
  };
  const slowly = (size: number, bytes: Uint8Array) => {
    take(Buffer.from(bytes.subarray(0, size)));
    return !beginning.includes("\r\n\r\n");
  };
  const socket = connect({
    port,
    host: "127.0.0.1",
    localAddress: from,
    allowHalfOpen: isStubborn,
    ...(isSlow && { onread: { buffer: Buffer.alloc(1), callback: slowly } }),
  });
  const reading = isSlow ? setInterval(() => socket.resume(), 1_000) : undefined;
  if (!isSlow) socket.on("data", take);
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) =>
    socket.once("close", () => {
      isGone = true;
      clearInterval(reading);
      resolve();
    }),
  );
  const connected = new Promise((resolve) => socket.once("connect", resolve));
  await Promise.race([connected, closed]);
  return {
    socket,
    get isGone() {
      return isGone;
    },
    async send(bytes) {
      if (isGone || !socket.writable) return;
      if (socket.write(bytes)) return;
      const drained = new Promise((resolve) => socket.once("drain", resolve));
      await Promise.race([closed, drained]);
    },
    answers: () => beginning.match(/HTTP\/1\.1 \d{3} /g)?.length ?? 0,
    async ending(patienceMs) {
      const patience = new AbortController();
      const isOver = await Promise.race([
        closed.then(() => true),
        wait(patienceMs, false, { signal: patience.signal }).catch(() => false),
      ]);
      patience.abort();
      const [, status] = /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n/.exec(beginning) ?? [];
      const code = codes ? codes.code() : status && Number(status);
      if (code) return code;
      return isOver ? "cut off" : "kept";
    },
  };
}

export interface WsOptions extends StrangerOptions {
  readonly headers?: string;
  readonly cursor?: string;
}

/** One whose upgrade was answered with 101; else the ending tells with what. */
export async function wsStranger(
  port: number,
  from: string,
  channel: string,
  { headers = "", cursor = "", ...options }: WsOptions = {},
): Promise<Stranger> {
  const one = await stranger(port, from, options);
  await one.send(wsHandshake(channel, cursor, headers));
  while (!one.isGone && one.answers() === 0) await wait(10);
  return one;
}

export function wsHandshake(channel: string, cursor = "", headers = ""): string {
  return (
    `GET /ws/channel/${channel}/?cursor=${cursor} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${headers}\r\n`
  );
}

export interface FrameParts {
  /** 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  readonly opcode: number;
  readonly payload?: Buffer;
  readonly fin?: boolean;
  /** The first reserved bit: compressed. */
  readonly rsv1?: boolean;
  readonly masked?: boolean;
  /** What the frame says of its length; default: the truth. */
  readonly length?: number;
}

/** A frame as RFC 6455 has it, or not quite. The mask is of zeros. */
export function frame({ opcode, payload, fin, rsv1, masked = true, length }: FrameParts): Buffer {
  const body = payload ?? Buffer.alloc(0);
  const said = length ?? body.length;
  const first = (fin === false ? 0 : 0x80) | (rsv1 ? 0x40 : 0) | opcode;
  const mask = masked ? 0x80 : 0;
  const head = Buffer.alloc(said < 126 ? 2 : said < 65_536 ? 4 : 10);
  head[0] = first;
  if (said < 126) head[1] = mask | said;
  else if (said < 65_536) {
    head[1] = mask | 126;
    head.writeUInt16BE(said, 2);
  } else {
    head[1] = mask | 127;
    head.writeBigUInt64BE(BigInt(said), 2);
  }
  return Buffer.concat([head, ...(masked ? [Buffer.alloc(4)] : []), body]);
}

interface CloseCodes {
  take(bytes: Buffer): void;
  code(): number | undefined;
}

/** Reads frames as they come, keeps none, and notes the code of the close. */
function closeCodes(): CloseCodes {
  let pending: Buffer = Buffer.alloc(0);
  let toSkip = 0;
  let code: number | undefined;

  /** Whether there was a frame to take. */
  function next(): boolean {
    if (pending.length < 2) return false;
    const short = pending[1]! & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (pending.length < head) return false;
    const length =
      short < 126 ? short : short === 126 ? pending.readUInt16BE(2) : Number(pending.readBigUInt64BE(2));
    if ((pending[0]! & 0x0f) === 8) {
      if (pending.length < head + length) return false;
      code ??= length >= 2 ? pending.readUInt16BE(head) : 1005;
    }
    const there = Math.min(head + length, pending.length);
    toSkip = head + length - there;
    pending = pending.subarray(there);
    return true;
  }

  return {
    take(bytes) {
      const skipped = Math.min(toSkip, bytes.length);
      toSkip -= skipped;
      if (toSkip > 0) return;
      pending = Buffer.concat([pending, bytes.subarray(skipped)]);
      while (toSkip === 0 && next());
    },
    code: () => code,
  };
}
