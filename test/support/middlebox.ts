import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";

export type Kind = "ws" | "sse" | "updates";

/** What a network does to a kind of connection: it refuses, leaves it without an answer, or lets its beginning through alone. */
export type Obstacle = "refused" | "hanging" | "held up";

/** An HTTP proxy such as readers sit behind: it may have something against a kind of connection. */
export interface Middlebox {
  readonly url: string;
  /** What is done to new connections of a kind; those there are end. */
  readonly obstacles: Map<Kind, Obstacle>;
  /** Sets one and ends the connections of that kind. */
  obstruct(kind: Kind, obstacle: Obstacle): void;
  clear(kind: Kind): void;
  /** Ends the connections of that kind, and lets new ones through. */
  sever(kind: Kind): void;
  /** Ends connections of that kind that were silent for so long, in milliseconds. */
  idleMs: number;
  /** Connections of that kind that are passed on now. */
  open(kind: Kind): number;
  /** All that were asked for so far. */
  asked(kind: Kind): number;
  close(): Promise<void>;
}

export async function middlebox(target: string): Promise<Middlebox> {
  const { hostname, port } = new URL(target);
  const obstacles = new Map<Kind, Obstacle>();
  const passing: Record<Kind, Set<Socket>> = { ws: new Set(), sse: new Set(), updates: new Set() };
  const asked: Record<Kind, number> = { ws: 0, sse: 0, updates: 0 };
  const sockets = new Set<Socket>();
  const kindOf = ({ url = "" }: IncomingMessage) => /^\/(ws|sse|updates)\/channel\//.exec(url)?.[1] as Kind;

  function pass(kind: Kind | undefined, socket: Socket): void {
    if (!kind) return;
    passing[kind].add(socket);
    socket.setTimeout(box.idleMs);
  }

  const server = createServer((request, response) => {
    const kind = kindOf(request);
    if (kind) asked[kind]++;
    const obstacle = kind && obstacles.get(kind);
    if (obstacle === "hanging") return;
    if (obstacle === "refused") return void response.writeHead(403).end("blocked by policy");
    const { method, url, headers } = request;
    const upstream = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
      // On a connection used before, Chromium asks once more by itself for what is cut, and its page hears of no cut.
      response.writeHead(answer.statusCode!, { ...answer.headers, connection: "close" });
      response.flushHeaders();
      if (obstacle !== "held up") answer.pipe(response);
    });
    upstream.on("error", () => response.destroy());
    response.once("close", () => {
      upstream.destroy();
      if (kind) passing[kind].delete(request.socket);
    });
    request.pipe(upstream);
    pass(kind, request.socket);
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("timeout", () => socket.destroy());
    socket.once("close", () => {
      sockets.delete(socket);
      passing.ws.delete(socket);
    });
  });
  server.on("upgrade", (request: IncomingMessage, near: Socket, head: Buffer) => {
    asked.ws++;
    const obstacle = obstacles.get("ws");
    if (obstacle === "hanging") return;
    if (obstacle === "refused") {
      near.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    const far = connect(Number(port), hostname, () => {
      const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      far.write(`GET ${request.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
      far.write(head);
      near.pipe(far);
      if (obstacle !== "held up") far.pipe(near);
      else far.once("data", (first) => near.write(first.subarray(0, first.indexOf("\r\n\r\n") + 4)));
    });
    far.on("error", () => near.destroy());
    far.once("close", () => near.destroy());
    near.once("close", () => far.destroy());
    pass("ws", near);
  });

  const box: Middlebox = {
    url: "",
    obstacles,
    obstruct(kind, obstacle) {
      obstacles.set(kind, obstacle);
      box.sever(kind);
    },
    sever(kind) {
      for (const socket of passing[kind]) socket.destroy();
    },
    clear: (kind) => void obstacles.delete(kind),
    idleMs: 0,
    open: (kind) => passing[kind].size,
    asked: (kind) => asked[kind],
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(box, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
