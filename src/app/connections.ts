/** The HTTP connections of a server that is to end soon, whatever strangers keep open. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { watchUpgrades } from "../adapters/upgrades.ts";

export interface Connections {
  /** From now on each answer says that its connection ends with it: a proxy that keeps connections asks elsewhere then. */
  endAnnounced(): void;
  /** Ends those that no request is under way on, now and as each answer ends. */
  cutIdle(): void;
  cutAll(): void;
}

/** Node counts a connection without a first request as busy: here it is idle. */
export function trackConnections(app: FastifyInstance): Connections {
  /** Answers under way, by connection, but for those that became WebSockets: these are the adapter's. */
  const connections = new Map<Socket, Set<ServerResponse>>();
  let isAnnouncing = false;
  let isEnding = false;

  function forget(this: Socket): void {
    connections.delete(this);
  }

  app.server.on("connection", (socket: Socket) => {
    connections.set(socket, new Set());
    socket.once("close", forget);
  });
  watchUpgrades(app.server, (_request, socket) => {
    connections.delete(socket as Socket);
    socket.off("close", forget);
  });
  // Before Fastify, which answers some requests within this event.
  app.server.prependListener("request", ({ socket }, response) => {
    const answers = connections.get(socket);
    if (!answers) return;
    answers.add(response);
    if (isAnnouncing) announce(response);
    response.once("close", () => {
      answers.delete(response);
      if (isEnding && answers.size === 0) socket.end();
    });
  });

  function endAnnounced(): void {
    isAnnouncing = true;
    for (const answers of connections.values()) for (const answer of answers) announce(answer);
  }

  function cut(isDue: (answers: number) => boolean): void {
    for (const [socket, { size }] of connections) if (isDue(size)) socket.destroy();
  }

  return {
    endAnnounced,
    cutIdle() {
      endAnnounced();
      isEnding = true;
      cut((answers) => answers === 0);
    },
    cutAll: () => cut(() => true),
  };
}

function announce(answer: ServerResponse): void {
  if (!answer.headersSent) answer.setHeader("Connection", "close");
}
