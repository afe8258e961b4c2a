import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { Admitted, Connection, Reader } from "../hub/connection.ts";
import { EXPELLED_MS, EXPELS, LOOKED_AT_MS, patienceFor } from "./patience.ts";
import { type Periodic, periodic } from "./periodic.ts";
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
   * @param isOurs Nobody else can close it. Default: somebody can.
   */
  open(answer: Admitted<Buffer>, ws: WsSocket, socket: Duplex, deflates?: boolean, isOurs?: boolean): void;
  /** Cuts off all. */
  terminate(): void;
}

export function wsReaders(): WsReaders {
  const all = periodic<WsReader>(LOOKED_AT_MS, (reader) => reader.look());

  return {
    open(answer, ws, socket, deflates = false, isOurs = false) {
      const one = new WsReader(ws, socket, deflates, isOurs, all);
      all.add(one);
      one.opened(answer.open(one));
    },

    terminate() {
      for (const { ws } of all) ws.terminate();
    },
  };
}

/** Where the library's socket and Node's keep their reader: listeners that find it there are the same for all. */
const READER = Symbol("reader");

interface Held {
  [READER]?: WsReader;
}

function onMessage(this: Held, data: Buffer): void {
  this[READER]!.reader!.message(data.length);
}

/** `ws` answers it. */
function onPing(this: Held): void {
  this[READER]!.reader!.message(0);
}

function onPong(this: Held): void {
  const one = this[READER]!;
  if (one.answered) one.reader!.message(0);
  else one.answered = true;
}

/** `ws` has sent the code. */
function onError(this: Held): void {
  this[READER]!.expel();
}

function onClose(this: Held): void {
  this[READER]!.left();
}

/** All has been said to it, the close, too. `ws` would take, and throw away, what comes for half a minute. */
function onFinish(this: Held): void {
  this[READER]!.cutOffSoon();
}

function onDrain(this: Held): void {
  this[READER]!.reader!.drained();
}

/** A class, for there is one for each reader, which most of the time only costs memory: its methods are shared. */
class WsReader implements Connection<Buffer> {
  // What is looked at for each delivery comes first: it shares a line of the processor's cache.
  readonly #socket: Duplex & Held & { readonly bytesWritten?: number };
  readonly #deflates: boolean;
  readonly #isOurs: boolean;
  #cutOff: NodeJS.Timeout | null = null;
  readonly ws: WsSocket & Held;
  /** Once the hub knows it. */
  reader: Reader | null = null;
  readonly #all: Periodic<WsReader>;
  /** The last ping. */
  answered = true;
  /** Looks since then without an answer. */
  #missed = 0;
  /** Bytes written before the last ping. */
  #pingedAt = 0;
  /** Bytes that have arrived, as the ping behind them was answered. */
  #arrived = 0;

  constructor(ws: WsSocket, socket: Duplex, deflates: boolean, isOurs: boolean, all: Periodic<WsReader>) {
    this.#socket = socket;
    this.#deflates = deflates;
    this.#isOurs = isOurs;
    this.ws = ws;
    this.#all = all;
  }

  opened(reader: Reader): void {
    this.reader = reader;
    this.ws[READER] = this;
    this.#socket[READER] = this;
    this.ws.on("message", onMessage).on("ping", onPing).on("pong", onPong);
    this.ws.on("error", onError).on("close", onClose);
    this.#socket.on("drain", onDrain).on("finish", onFinish);
  }

  left(): void {
    this.#all.delete(this);
    if (this.#cutOff) clearTimeout(this.#cutOff);
    this.reader!.closed();
  }

  /**
   * Whole frames in one write: what `ws` writes itself (pings, the close) is whole frames too, each written at once while
   * it sends no data, so that none comes to stand inside another.
   */
  send(frame: Buffer): void {
    if (frame.length > 0 && this.#isOpen()) this.#socket.write(this.#deflates ? deflated(frame) : frame);
  }

  /**
   * Nothing follows a close frame. The hub sends nothing once it has closed; a reader's own close `ws` answers, and ends the
   * socket as soon as that is written. Where nothing waits, and nobody else can close, the socket itself tells, therefore: to look at the object of `ws`,
   * too, would cost each delivery a miss of the processor's cache.
   */
  #isOpen(): boolean {
    if (this.#cutOff !== null) return false;
    const doesSocketTell = this.#isOurs && this.#socket.writableLength === 0;
    return doesSocketTell ? this.#socket.writable : this.ws.readyState === this.ws.OPEN;
  }

  close(code: number, reason: string): void {
    this.ws.close(code, reason);
    if (EXPELS.has(code)) this.expel();
  }

  /** It was closed for what it sends: `ws` would read on for half a minute, for the answer to its close frame. */
  expel(): void {
    this.ws.pause(); // now: one look of Node's at its sockets may bring megabytes of one
    setImmediate(() => this.ws.pause()); // again, for `ws` itself resumes after an error
    this.cutOffSoon();
  }

  cutOffSoon(): void {
    this.#cutOff ??= setTimeout(() => this.ws.terminate(), EXPELLED_MS).unref();
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
