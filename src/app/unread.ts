/** Requests that are answered before their body is in: refused, most of them. What is left of the body is not taken. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { TidingsError } from "../errors.ts";

/** How long who still sends has to read the answer. */
const LEFT_OPEN_MS = 1_000;

/**
 * Ends the connection with such an answer: Node would receive the rest of the body, and throw it away, for two minutes. A body
 * for a path that is nowhere is not waited for.
 */
export function refuseUnreadBodies(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    if (!hasBody(request.raw)) return done();
    closeIfUnread(request.raw, reply.raw);
    const go = () => (request.is404 ? done(new TidingsError("not_found", "there is nothing here")) : done());
    // A small one came with the head, and is taken in by then.
    setImmediate(go);
  });
}

/** For an answer that comes before the hooks. */
export function closeIfUnread(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request)) return;
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => typeof response;
  response.writeHead = (...args: unknown[]) => {
    if (!request.complete) {
      response.setHeader("Connection", "close");
      leaveOpen(request.socket);
    }
    return writeHead(...args);
  };
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/**
 * Closing a socket that has something to read resets its connection, and the reset overtakes the answer: so when Node is done
 * with it, it is left open for a moment, and not read from.
 */
function leaveOpen(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    setImmediate(() => socket.pause());
    setTimeout(() => socket.destroy(), LEFT_OPEN_MS).unref();
  };
}
