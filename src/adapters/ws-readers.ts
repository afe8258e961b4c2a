import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Admitted, Connection, Transport } from "../hub/connection.ts";

/** A reader that for two of these neither answers a ping nor takes a byte is gone. */
const PING_MS = 30_000;

/** Texts as `ws` sends them: one Buffer for all readers. */
export const wsTransport: Transport<Buffer> = { encode: (text) => Buffer.from(text) };

/** What is used of a `WebSocket` of the library `ws`. */
export interface WsSocket extends EventEmitter {
  readonly readyState: number;
  readonly OPEN: number;
  send(data: Buffer, options: { readonly binary: false }): void;
  close(code: number, reason: string): void;
  terminate(): void;
  ping(): void;
}

/** Readers on sockets of the library `ws`, each on a socket of Node. */
export interface WsReaders {
  /** The upgrade has been answered: the reader enters. Those that are gone without a word are cut off. */
  open(answer: Admitted<Buffer>, ws: WsSocket, socket: Duplex): void;
  /** Cuts off all. */
  terminate(): void;
}

export function wsReaders(): WsReaders {
  const all = new Set<Held>();
  let ping: NodeJS.Timeout | undefined;

  return {
    open(answer, ws, socket) {
      const held: Held = { ws, socket, answered: true, missed: 0, taken: 0 };
      all.add(held);
      ping ??= setInterval(() => {
        for (const each of all) lookAt(each);
      }, PING_MS).unref();
      const reader = answer.open(connectionOf(ws, socket));
      ws.on("message", (data: Buffer) => reader.message(data.length));
      ws.on("pong", () => {
        held.answered = true;
      });
      ws.on("error", () => {}); // 'close' follows, and ws has sent the code
      ws.on("close", () => {
        all.delete(held);
        if (all.size === 0) {
          clearInterval(ping);
          ping = undefined;
        }
        reader.closed();
      });
      socket.on("drain", reader.drained);
    },

    terminate() {
      for (const { ws } of all) ws.terminate();
    },
  };
}

/** A socket, and what it has done since it was last looked at. */
interface Held {
  readonly ws: WsSocket;
  readonly socket: Duplex & { readonly bytesWritten?: number };
  answered: boolean;
  missed: number;
  /** Bytes that the system has taken for it, so far. */
  taken: number;
}

/** Cuts off who is gone; who only reads slowly takes bytes, and stays. */
function lookAt(held: Held): void {
  const { ws, socket } = held;
  const written = () => socket.bytesWritten ?? 0;
  const taken = written() - socket.writableLength;
  held.missed = held.answered || taken > held.taken ? 0 : held.missed + 1;
  held.taken = taken;
  held.answered = false;
  if (held.missed >= 2) {
    ws.terminate();
    return;
  }
  ws.ping();
  // A ping is a byte taken, but no sign of life.
  if (socket.writableLength === 0) held.taken = written();
}

const TEXT = { binary: false } as const;

function connectionOf(ws: WsSocket, socket: Duplex): Connection<Buffer> {
  return {
    send(frame) {
      if (ws.readyState === ws.OPEN) ws.send(frame, TEXT);
    },
    close(code, reason) {
      ws.close(code, reason);
    },
    get bufferedAmount() {
      return socket.writableLength;
    },
  };
}
