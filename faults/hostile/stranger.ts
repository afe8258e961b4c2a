/** Strangers: sockets that send what they like, and note how they are answered. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** How one ended: the close code of its WebSocket, else the status of the answer it got, else that it was cut off. */
export type Ending = number | "cut off" | "kept";

export interface Stranger {
  readonly socket: Socket;
  /** Writes, and resolves when it may write again, or the other side is gone. */
  send(bytes: Buffer | string): Promise<void>;
  readonly isGone: boolean;
  /** Resolves when the connection has ended, or the patience has. */
  ending(patienceMs: number): Promise<Ending>;
}

/** @param from an address of the loopback, for limits go by address */
export async function stranger(port: number, from: string): Promise<Stranger> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  let received = Buffer.alloc(0);
  let isGone = false;
  // The beginning tells the status, the end the close code.
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) =>
    socket.once("close", () => {
      isGone = true;
      resolve();
    }),
  );
  await once(socket, "connect");
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
    async ending(patienceMs) {
      const patience = new AbortController();
      const isOver = await Promise.race([
        closed.then(() => true),
        wait(patienceMs, false, { signal: patience.signal }),
      ]);
      patience.abort();
      const [, status, rest] =
        /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(received.toString("latin1")) ?? [];
      const isWebSocket = status === "101";
      const code = isWebSocket ? closeCodeIn(Buffer.from(rest!, "latin1")) : status && Number(status);
      if (code) return code as number;
      return isOver ? "cut off" : "kept";
    },
  };
}

/** One whose upgrade was answered with 101; else the ending tells with what. */
export async function wsStranger(port: number, from: string, channel: string, more = ""): Promise<Stranger> {
  const one = await stranger(port, from);
  await one.send(
    `GET /ws/channel/${channel}/?cursor= HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`,
  );
  await once(one.socket, "data").catch(() => {});
  return one;
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

function closeCodeIn(bytes: Buffer): number | undefined {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = bytes[at]! & 0x0f;
    const short = bytes[at + 1]! & 0x7f;
    const [head, length] =
      short < 126
        ? [2, short]
        : short === 126
          ? [4, at + 4 <= bytes.length ? bytes.readUInt16BE(at + 2) : 0]
          : [10, at + 10 <= bytes.length ? Number(bytes.readBigUInt64BE(at + 2)) : 0];
    if (opcode === 8)
      return length >= 2 && at + head + 2 <= bytes.length ? bytes.readUInt16BE(at + head) : 1005;
    at += head + length;
  }
  return undefined;
}
