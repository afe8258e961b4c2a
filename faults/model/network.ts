/**
 * Between readers and processes: real adapters over sockets that are slow, stall, break, or die without a word; a load
 * balancer that moves readers; and a cache in front, which may hold old copies. A process is a hub with its adapters.
 */
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { placeOf } from "../../src/adapters/paths.ts";
import { nodePolling } from "../../src/adapters/polling.ts";
import type { NodeHandler } from "../../src/adapters/requests.ts";
import { nodeSse } from "../../src/adapters/sse.ts";
import { wsTransport } from "../../src/adapters/ws-frames.ts";
import { type WsReaders, type WsSocket, wsReaders } from "../../src/adapters/ws-readers.ts";
import type { Bus } from "../../src/buses/bus.ts";
import { TidingsError } from "../../src/errors.ts";
import { createHub, type Hub } from "../../src/hub/hub.ts";
import type { Log } from "../../src/logs/log.ts";
import type { Clock } from "./clock.ts";
import { type Library, publishingLibrary, type TopicSocket } from "./topics.ts";

/** How a process's questions to the log fare. */
export type LogMood = "fine" | "slow" | "failing" | "hanging";

export interface Process {
  hub: Hub;
  readonly sockets: WsReaders;
  /** Has its sockets, where it is not `ws`. */
  readonly library: Library | undefined;
  readonly sse: NodeHandler;
  readonly polling: NodeHandler;
  isUp: boolean;
  isDead: boolean;
  mood: LogMood;
}

export interface ProcessParts {
  readonly log: () => Log;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: () => number;
}

const never = new Promise<never>(() => {});

export function startProcess({ log, bus, clock, random }: ProcessParts): Process {
  async function ask<T>(question: (log: Log) => Promise<T>): Promise<T> {
    if (own.isDead || own.mood === "hanging") return never;
    if (own.mood === "failing" && random() < 0.7) {
      throw new TidingsError("unavailable", "the log is away", { where: "model" });
    }
    const isSlow = own.mood === "slow";
    if (isSlow) await clock.sleep(random() * 700);
    const answer = await question(log());
    if (isSlow) await clock.sleep(random() * 700);
    return own.isDead ? never : answer;
  }
  const hub = createHub({
    bus,
    log: {
      append: () => never,
      since: (channel, cursor) => ask((log) => log.since(channel, cursor)),
      heads: (channels) => ask((log) => log.heads(channels)),
      close: async () => {},
    },
    onError: () => {},
  });
  const own: Process = {
    hub,
    sockets: wsReaders(),
    library: random() < 0.5 ? publishingLibrary(random) : undefined,
    sse: nodeSse(hub),
    polling: nodePolling(hub),
    isUp: true,
    isDead: false,
    mood: "fine",
  };
  return own;
}

/** Bytes that a socket says it holds as soon as its reader takes nothing: more than a hub puts up with. */
const HELD = 300_000;
/** More than a hub may have sent to a socket that is full: what was on its way, an answer that came late, and its last words. */
export const MOST_UNREAD = 12;

export type LineState = "up" | "stalled" | "down";

/** A reader's way to the servers, and the connections on it. */
export class Line {
  /** The process that the load balancer sends its new connections to. */
  process: number;
  state: LineState = "up";
  /** Transports that something in between does not let through. */
  readonly blocked: Set<string> = new Set();
  readonly links: Set<Link> = new Set();
  /** When it was last given a cache's old copy of the page for the page. */
  copyAt: number = Number.NEGATIVE_INFINITY;
  /** What is still to arrive of connections that were left. */
  readonly late: (() => void)[] = [];
  readonly name: string;

  constructor(name: string, process: number) {
    this.name = name;
    this.process = process;
  }

  stall(): void {
    this.state = "stalled";
  }

  /** Connections break, and both ends notice. */
  cut(): void {
    for (const link of [...this.links]) link.cut();
  }

  /** Connections break, and neither end is told. New ones work. */
  die(): void {
    for (const link of this.links) link.die();
  }

  down(): void {
    this.state = "down";
    this.late.length = 0;
    this.cut();
  }

  up(): void {
    this.state = "up";
    for (const arrive of this.late.splice(0)) arrive();
    for (const link of this.links) link.flush();
  }
}

interface LinkEvents {
  /** To the reader. */
  deliver(text: string): void;
  ended(): void;
  /** To the server: the reader's end is gone. */
  gone(): void;
  /** To the server: all has been taken. */
  drained(): void;
  /** To the judge. */
  broken(what: string): void;
}

/** One connection: what is written to it arrives in order, after a while, or not at all. */
export class Link {
  readonly #line: Line;
  readonly #latency: () => number;
  readonly #events: LinkEvents;
  #queue: (string | null)[] = [];
  #due = 0;
  #clock: Clock;
  isDead = false;
  isCut = false;
  /** Who writes to it, if it lasts. */
  process: Process | undefined;

  constructor(line: Line, clock: Clock, latency: () => number, events: LinkEvents) {
    this.#line = line;
    this.#clock = clock;
    this.#latency = latency;
    this.#events = events;
    line.links.add(this);
  }

  get held(): number {
    return this.#queue.length > 0 && (this.isDead || this.#line.state === "stalled") ? HELD : 0;
  }

  write(text: string): void {
    this.#put(text);
  }

  /** The server ends it, once all has been taken. */
  end(): void {
    this.#put(null);
  }

  #put(item: string | null): void {
    if (this.isCut) return;
    this.#queue.push(item);
    if (this.held > 0 && this.#queue.length > MOST_UNREAD) {
      this.#events.broken(
        `${this.#line.name} was sent ${this.#queue.length} messages on a connection that takes none`,
      );
    }
    this.#due = Math.max(this.#due, this.#clock.now() + this.#latency());
    setTimeout(() => this.#take(), this.#due - this.#clock.now());
  }

  #take(): void {
    if (this.isCut || this.isDead || this.#line.state !== "up") return;
    const item = this.#queue.shift();
    if (item === undefined) return;
    if (item === null) this.cut();
    else this.#events.deliver(item);
  }

  flush(): void {
    const wasHeld = this.#queue.length > 0;
    while (this.#queue.length > 0 && !this.isCut && !this.isDead) this.#take();
    if (wasHeld && !this.isCut && !this.isDead) this.#events.drained();
  }

  die(): void {
    this.isDead = true;
  }

  /** Both ends are told. */
  cut(): void {
    if (this.isCut) return;
    this.#over();
    setTimeout(() => {
      this.#events.gone();
      if (!this.isDead) this.#events.ended();
    }, 0);
  }

  /**
   * The reader's end leaves; of one that died the server does not hear.
   *
   * @param lingers What is on the way still arrives, as on a WebSocket that is being closed: on a line that has stalled,
   *   when that goes on.
   */
  leave(lingers = false): void {
    if (this.isCut) return;
    const wasDead = this.isDead;
    if (lingers && !wasDead && this.#line.state === "stalled") {
      const late = this.#queue.filter((item) => item !== null);
      this.#line.late.push(() => {
        for (const text of late) this.#events.deliver(text);
      });
    }
    if (lingers && !wasDead && this.#line.state === "up") {
      while (this.#queue.length > 0 && this.#queue[0] !== null) {
        const text = this.#queue.shift()!;
        setTimeout(() => this.#events.deliver(text), this.#latency());
      }
    }
    this.isDead = true;
    if (wasDead) return;
    this.#over();
    setTimeout(() => this.#events.gone(), this.#latency());
  }

  /** The server gives it up. */
  terminate(): void {
    this.cut();
  }

  #over(): void {
    this.isCut = true;
    this.#queue = [];
    this.#line.links.delete(this);
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface Opened {
  close(): void;
}

export interface OpenEvents {
  opened(): void;
  received(text: string): void;
  lost(): void;
}

/** What a response needs to be to Node's handlers. */
class Response extends EventEmitter {
  readonly socket = {
    setKeepAlive() {},
    remoteAddress: undefined,
    get bytesWritten() {
      return 0;
    },
    writableLength: 0,
    destroy: () => this.cutOff(),
  };
  status = 0;
  headers: Record<string, string> = {};
  destroyed = false;
  writableEnded = false;
  link: Link | undefined;
  /** Looks at what is written to a stream. */
  order: (text: string) => void = () => {};
  readonly cutOff: () => void;
  readonly headed: () => void;
  readonly ended: (body: string) => void;

  constructor(parts: { cutOff: () => void; headed: () => void; ended: (body: string) => void }) {
    super();
    this.cutOff = parts.cutOff;
    this.headed = parts.headed;
    this.ended = parts.ended;
  }

  writeHead(status: number, headers: Record<string, string>): void {
    this.status = status;
    this.headers = headers;
    this.headed();
  }

  get writableLength(): number {
    return this.link?.held ?? 0;
  }

  write(chunk: string | Uint8Array): void {
    const text = String(chunk);
    this.order(text);
    this.link?.write(text);
  }

  end(body?: string | Uint8Array): void {
    this.writableEnded = true;
    this.ended(body === undefined ? "" : typeof body === "string" ? body : Buffer.from(body).toString());
  }

  destroy(): void {
    this.cutOff();
  }

  gone(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}

export interface NetworkParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly processes: readonly Process[];
  readonly html: () => Promise<string>;
  /** Is told of a process that breaks its word on a connection. */
  readonly broken: (what: string) => void;
  /** What arrives of a text that was sent on a connection; all of it, if the network is right. */
  readonly wire?: ((text: string) => readonly string[]) | undefined;
}

export interface Network {
  socket(line: Line, path: string, events: OpenEvents): Opened;
  /** A stream of Server-Sent Events. */
  stream(line: Line, path: string, lastEventId: string | undefined, events: OpenEvents): Opened;
  /** Rejects when the connection fails. */
  get(line: Line, path: string, signal?: AbortSignal): Promise<Answer>;
  /** From now on the cache answers each question for the page with what it would be told now; `fresh`: no longer. */
  keepCopies(): Promise<void>;
  fresh(): void;
  /** From now on polls go through a cache, which takes `wait` out of them. */
  readonly cachesPolls: { on: boolean };
}

export function createNetwork({
  clock,
  random,
  processes,
  html,
  broken,
  wire = (text) => [text],
}: NetworkParts): Network {
  const latency = () => 1 + random() * 30;
  const cachesPolls = { on: false };
  const cachedPolls = new Map<string, { until: number; answer: Answer }>();
  let copy: string | undefined;

  function processOf(line: Line, transport: string): Process | undefined {
    const process = processes[line.process % processes.length]!;
    return process.isUp && line.state !== "down" && !line.blocked.has(transport) ? process : undefined;
  }

  /**
   * Nothing is sent twice on a connection, and nothing older: for readers that know no cursors, too. (An epoch may begin
   * without a change.)
   */
  function inOrder(line: Line): (text: string) => void {
    let [lastEpoch, last] = ["", -1];
    return (text) => {
      const [, epoch = "", seq = ""] =
        /"cursor":"([^".]*)\.(\d+)"/.exec(text.slice(text.lastIndexOf('"removals"'))) ?? [];
      if (epoch === "") return;
      const isHeartbeat =
        text.startsWith('{"renders":{},"removals":[],"cursor"') && !text.includes('"reset"');
      const isLater = Number(seq) > last || (isHeartbeat && Number(seq) === last);
      if (!isLater && !text.endsWith('"reset":true}')) {
        broken(
          `${line.name} was sent ${epoch}.${seq} on a connection that had brought ${lastEpoch}.${last}: ${text.slice(0, 200)}`,
        );
      }
      [lastEpoch, last] = [epoch, Number(seq)];
    };
  }

  /** Calls `lost` once, whoever ended it. */
  function once(events: OpenEvents): OpenEvents {
    let isLost = false;
    return {
      opened: () => isLost || events.opened(),
      received: (text) => isLost || events.received(text),
      lost() {
        if (isLost) return;
        isLost = true;
        events.lost();
      },
    };
  }

  return {
    cachesPolls,

    socket(line, path, heard) {
      const events = once(heard);
      const ws = new EventEmitter() as WsSocket & { readyState: number };
      const duplex = new EventEmitter() as Duplex & EventEmitter;
      let link: Link | undefined;
      let hasLeft = false;
      let bytes = 0;
      setTimeout(async () => {
        const process = processOf(line, "ws");
        const place = placeOf(path, "", "ws");
        if (hasLeft) return;
        if (!process || !place) return events.lost();
        const { library } = process;
        const transport = library?.transport ?? wsTransport;
        const admitted = await process.hub.admit({ ...place, transport });
        if ("status" in admitted) return events.lost();
        if (hasLeft || process.isDead || line.state === "down") {
          admitted.cancel();
          return events.lost();
        }
        events.opened();
        link = new Link(line, clock, latency, {
          deliver: events.received,
          ended: events.lost,
          gone() {
            library?.forget(socket);
            ws.emit("close");
          },
          drained: () => duplex.emit("drain"),
          broken,
        });
        const connected = link;
        connected.process = process;
        const order = inOrder(line);
        Object.defineProperty(duplex, "writableLength", { get: () => connected.held });
        Object.defineProperty(duplex, "writable", { get: () => ws.readyState === ws.OPEN });
        Object.defineProperty(duplex, "bytesWritten", { get: () => bytes });
        const socket: TopicSocket = {
          get isFull() {
            return connected.held >= HELD;
          },
          write(data) {
            if (ws.readyState !== ws.OPEN) return;
            bytes += data.length;
            for (const frame of textsOf(data)) {
              order(frame);
              for (const text of wire(frame)) connected.write(text);
            }
          },
          dropped: () => broken(`${line.name} was sent what its full socket dropped`),
        };
        Object.assign(duplex, {
          write(data: Buffer) {
            library?.flush(socket);
            socket.write(data);
          },
        });
        Object.assign(ws, {
          readyState: 1,
          OPEN: 1,
          close() {
            library?.flush(socket);
            ws.readyState = 2;
            connected.end();
          },
          terminate: () => connected.terminate(),
          ping: () => {
            setTimeout(() => !connected.isDead && line.state === "up" && ws.emit("pong"), latency());
          },
        });
        process.sockets.open(library?.on(socket, admitted) ?? admitted, ws, duplex);
      }, latency());
      return {
        close() {
          hasLeft = true;
          link?.leave(true);
        },
      };
    },

    stream(line, path, lastEventId, heard) {
      const events = once(heard);
      let link: Link | undefined;
      let hasLeft = false;
      let response: Response | undefined;
      setTimeout(() => {
        const process = processOf(line, "sse");
        if (hasLeft) return;
        if (!process) return events.lost();
        let rest = "";
        const order = inOrder(line);
        const answer = new Response({
          cutOff: () => (link ? link.terminate() : events.lost()),
          headed() {
            if (answer.status !== 200) return;
            if (process.isDead || line.state === "down") return events.lost();
            link = new Link(line, clock, latency, {
              deliver(text) {
                const parts = (rest + text).split("\n\n");
                rest = parts.pop()!;
                for (const part of parts) {
                  const data = /^data: (.*)$/m.exec(part)?.[1];
                  if (data !== undefined) events.received(data);
                }
              },
              ended: events.lost,
              gone: () => answer.gone(),
              drained: () => answer.emit("drain"),
              broken,
            });
            link.process = process;
            answer.link = link;
            answer.order = (text) => order(/^data: (.*)$/m.exec(text)?.[1] ?? "");
            events.opened();
          },
          ended: () => (link ? link.end() : events.lost()),
        });
        response = answer;
        const request = {
          url: path,
          method: "GET",
          httpVersionMajor: 1,
          headers: { ...(lastEventId && { "last-event-id": lastEventId }) },
          socket: answer.socket,
        };
        process.sse(request as unknown as IncomingMessage, answer as unknown as ServerResponse);
      }, latency());
      return {
        close() {
          hasLeft = true;
          if (link) link.leave();
          else response?.gone();
        },
      };
    },

    async get(line, path, signal) {
      await clock.sleep(latency());
      const fail = () => new Error("the connection failed");
      if (path.startsWith("/live/")) {
        if (line.state !== "up" || signal?.aborted) throw fail();
        if (copy !== undefined) line.copyAt = clock.now();
        const text = copy ?? (await html());
        await clock.sleep(latency());
        if (signal?.aborted) throw fail();
        return { status: 200, headers: {}, text };
      }
      const process = processOf(line, "updates");
      if (!process || signal?.aborted) throw fail();
      const url = cachesPolls.on ? path.replace(/&wait=[^&]*/, "") : path;
      const cached = cachesPolls.on ? cachedPolls.get(url) : undefined;
      if (cached && clock.now() < cached.until) return cached.answer;
      return new Promise((resolve, reject) => {
        let link: Link | undefined;
        const response: Response = new Response({
          cutOff: () => link?.cut(),
          headed() {},
          ended: (body) => link?.write(body),
        });
        let isAnswered = false;
        link = new Link(line, clock, latency, {
          deliver(text) {
            isAnswered = true;
            const answer = { status: response.status, headers: response.headers, text };
            const life = Number(/s-maxage=(\d+)/.exec(response.headers["Cache-Control"] ?? "")?.[1] ?? 0);
            if (cachesPolls.on && life) cachedPolls.set(url, { until: clock.now() + life * 1_000, answer });
            resolve(answer);
            link!.leave();
          },
          ended: () => isAnswered || reject(fail()),
          gone: () => response.gone(),
          drained() {},
          broken,
        });
        signal?.addEventListener("abort", () => {
          link!.leave();
          reject(fail());
        });
        const request = {
          url,
          method: "GET",
          httpVersionMajor: 1,
          headers: {},
          socket: response.socket,
        };
        process.polling(request as unknown as IncomingMessage, response as unknown as ServerResponse);
      });
    },

    async keepCopies() {
      copy = await html();
    },
    fresh() {
      copy = undefined;
    },
  };
}

/** The messages in what a server has written: whole text frames, one after the other (RFC 6455, 5.2). */
function textsOf(data: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < data.length; ) {
    if (data[at] !== 0x81) throw new Error(`no text frame begins with ${data[at]}`);
    const short = data[at + 1]!;
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    const length =
      short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2));
    at = start + length;
    texts.push(data.toString("utf8", start, at));
  }
  return texts;
}
