/** What one connection asks for without waiting for answers (HTTP/1.1 pipelining): answered one after the other. */
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

/** Requests of one connection whose answers it has not taken: browsers and proxies have one, and who has more is cut off. */
const MAX_UNANSWERED = 16;

/**
 * Begins a request when the connection has taken the answers before it: they go out in that order anyhow. Node reads up
 * to 64 kB of requests at once, and begins them all: a thousand pages, made for one who reads none of them.
 */
export function takeTurns(app: FastifyInstance): void {
  /** Those that wait behind the one under way, by connection. */
  const waiting = new WeakMap<Socket, (() => void)[]>();

  app.addHook("onRequest", ({ raw }, reply, done) => {
    const { socket } = raw;
    const begin = () => {
      reply.raw.once("close", () => next(socket));
      done();
    };
    // What was read before it was cut off.
    if (socket.destroyed) return;
    const others = waiting.get(socket);
    if (others === undefined) {
      waiting.set(socket, []);
      begin();
    } else if (others.length + 1 < MAX_UNANSWERED) others.push(begin);
    else socket.destroy();
  });

  function next(socket: Socket): void {
    const begin = waiting.get(socket)?.shift();
    if (begin === undefined || socket.destroyed) waiting.delete(socket);
    else begin();
  }
}
