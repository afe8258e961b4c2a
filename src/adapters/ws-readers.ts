import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Admitted, Connection, Transport } from "../hub/connection.ts";
import { LOOKED_AT_MS, patienceFor } from "./patience.ts";
import { periodic } from "./periodic.ts";

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
  const all = periodic(LOOKED_AT_MS, lookAt);

  return {
    open(answer, ws, socket) {
      const held: Held = { ws, socket, answered: true, missed: 0, pingedAt: 0, arrived: 0 };
      all.add(held);
      const reader = answer.open(connectionOf(ws, socket));
      ws.on("message", (data: Buffer) => reader.message(data.length));
      ws.on("pong", () => {
        held.answered = true;
      });
      ws.on("error", () => {}); // 'close' follows, and ws has sent the code
      ws.on("close", () => {
        all.delete(held);
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
  /** The last ping. */
  answered: boolean;
  /** Looks since then without an answer. */
  missed: number;
  /** Bytes written before the last ping. */
  pingedAt: number;
  /** Bytes that have arrived, as the ping behind them was answered. */
  arrived: number;
}

/** Pings, one at a time, and cuts off who is gone: who only reads slowly answers when it has read what is before. */
function lookAt(held: Held): void {
  const { ws, socket } = held;
  if (!held.answered) {
    held.missed++;
    if (held.missed >= patienceFor(held.pingedAt - held.arrived)) ws.terminate();
    return;
  }
  held.answered = false;
  held.missed = 0;
  held.arrived = held.pingedAt;
  held.pingedAt = socket.bytesWritten ?? 0;
  ws.ping();
}

const TEXT = { binary: false } as const;

function connectionOf(ws: WsSocket, socket: Duplex): Connection<Buffer> {
  return {
    send(frame) {
      if (frame.length > 0 && ws.readyState === ws.OPEN) ws.send(frame, TEXT);
    },
    close(code, reason) {
      ws.close(code, reason);
    },
    get bufferedAmount() {
      return socket.writableLength;
    },
  };
}
