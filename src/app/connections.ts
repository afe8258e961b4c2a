/** The HTTP connections of a server that is to end soon, whatever strangers keep open. */
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { watchUpgrades } from "../adapters/upgrades.ts";

export interface Connections {
  /** Ends those that no request is under way on, now and as each answer ends. */
  cutIdle(): void;
  cutAll(): void;
}

/** Node counts a connection without a first request as busy: here it is idle. */
export function trackConnections(app: FastifyInstance): Connections {
  /** Requests under way, by connection. Sockets that became WebSockets are the adapter's. */
  const busy = new Map<Socket, number>();
  const upgraded = new WeakSet<Socket>();
  let isEnding = false;

  app.server.on("connection", (socket: Socket) => {
    busy.set(socket, 0);
    socket.once("close", () => busy.delete(socket));
  });
  watchUpgrades(app.server, (_request, socket) => upgraded.add(socket as Socket));
  app.server.on("request", ({ socket }, response) => {
    busy.set(socket, (busy.get(socket) ?? 0) + 1);
    if (isEnding) response.setHeader("Connection", "close");
    response.once("close", () => {
      const left = (busy.get(socket) ?? 1) - 1;
      if (busy.has(socket)) busy.set(socket, left);
      if (isEnding && left === 0) socket.end();
    });
  });

  function cut(isDue: (requests: number) => boolean): void {
    for (const [socket, requests] of busy) if (!upgraded.has(socket) && isDue(requests)) socket.destroy();
  }

  return {
    cutIdle() {
      isEnding = true;
      cut((requests) => requests === 0);
    },
    cutAll: () => cut(() => true),
  };
}
