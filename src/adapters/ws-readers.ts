import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Admitted, Connection } from "../hub/connection.ts";
import { EXPELLED_MS, EXPELS, LOOKED_AT_MS, patienceFor } from "./patience.ts";
import { periodic } from "./periodic.ts";
import { deflated } from "./ws-frames.ts";

/** What is used of a `WebSocket` of the library `ws`: it reads, pings and closes. */
export interface WsSocket extends EventEmitter {
  readonly readyState: number;
  readonly OPEN: number;
  close(code: number, reason: string): void;
  terminate(): void;
  /** Reads no more. */
  pause(): void;
  ping(): void;
}

/** Readers on sockets of the library `ws`, each on a socket of Node. */
export interface WsReaders {
  /**
   * The upgrade has been answered: the reader enters. Those that are gone without a word are cut off.
   *
   * @param deflates It agreed to permessage-deflate without context takeover, in windows of any size.
   */
  open(answer: Admitted<Buffer>, ws: WsSocket, socket: Duplex, deflates?: boolean): void;
  /** Cuts off all. */
  terminate(): void;
}

export function wsReaders(): WsReaders {
  const all = periodic<WsReader>(LOOKED_AT_MS, (reader) => reader.look());

  return {
    open(answer, ws, socket, deflates = false) {
      const one = new WsReader(ws, socket, deflates);
      all.add(one);
      const reader = answer.open(one);
      ws.on("message", (data: Buffer) => reader.message(data.length));
      ws.on("pong", () => {
        one.answered = true;
      });
      ws.on("error", () => one.expel()); // ws has sent the code
      ws.on("close", () => {
        all.delete(one);
        reader.closed();
      });
      socket.on("drain", reader.drained);
    },

    terminate() {
      for (const { ws } of all) ws.terminate();
    },
  };
}

/** A class, for there is one for each reader: its methods are shared. */
class WsReader implements Connection<Buffer> {
  readonly ws: WsSocket;
  readonly #socket: Duplex & { readonly bytesWritten?: number };
  readonly #deflates: boolean;
  /** The last ping. */
  answered = true;
  /** Looks since then without an answer. */
  #missed = 0;
  /** Bytes written before the last ping. */
  #pingedAt = 0;
  /** Bytes that have arrived, as the ping behind them was answered. */
  #arrived = 0;
  #isExpelled = false;

  constructor(ws: WsSocket, socket: Duplex, deflates: boolean) {
    this.ws = ws;
    this.#socket = socket;
    this.#deflates = deflates;
  }

  /**
   * Whole frames in one write: what `ws` writes itself (pings, the close) is whole frames too, each written at once while
   * it sends no data, so that none comes to stand inside another.
   */
  send(frame: Buffer): void {
    if (this.ws.readyState !== this.ws.OPEN || frame.length === 0) return;
    this.#socket.write(this.#deflates ? deflated(frame) : frame);
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason);
    if (EXPELS.has(code)) this.expel();
  }

  /** It was closed for what it sends: `ws` would read on for half a minute, for the answer to its close frame. */
  expel(): void {
    if (this.#isExpelled) return;
    this.#isExpelled = true;
    setImmediate(() => this.ws.pause()); // not before `ws` itself has, after an error, resumed
    setTimeout(() => this.ws.terminate(), EXPELLED_MS).unref();
  }

  get bufferedAmount(): number {
    return this.#socket.writableLength;
  }

  /** Pings, one at a time, and cuts off who is gone: who only reads slowly answers when it has read what is before. */
  look(): void {
    if (!this.answered) {
      this.#missed++;
      if (this.#missed >= patienceFor(this.#pingedAt - this.#arrived)) this.ws.terminate();
      return;
    }
    this.answered = false;
    this.#missed = 0;
    this.#arrived = this.#pingedAt;
    this.#pingedAt = this.#socket.bytesWritten ?? 0;
    this.ws.ping();
  }
}
