/** What one connection asks for without waiting for answers (HTTP/1.1 pipelining): answered one after the other. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { unanswered } from "../adapters/unanswered.ts";

const mayAsk = unanswered();

/** Cuts off the connection of a response that is one too many. */
export function countUnanswered(response: ServerResponse): void {
  const { req } = response;
  if (mayAsk(req, response)) return;
  const { socket } = req;
  socket.destroy();
  // A thousand more may have come with this one. Node documents no way to leave them unread; without this one they cost time.
  const { parser } = socket as { parser?: { onIncoming: unknown } | null };
  if (parser) parser.onIncoming = () => 0;
}

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
    if (others) return void others.push(begin);
    waiting.set(socket, []);
    begin();
  });

  function next(socket: Socket): void {
    const begin = waiting.get(socket)?.shift();
    if (begin === undefined || socket.destroyed) waiting.delete(socket);
    else begin();
  }
}
