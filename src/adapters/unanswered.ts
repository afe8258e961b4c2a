import type { IncomingMessage, ServerResponse } from "node:http";

/** Requests of one connection that may wait for their answers, or for these to be taken. */
const MAX_UNANSWERED = 16;

/**
 * Counts what a connection has asked over HTTP/1.1 and not taken the answers to; says whether it may ask one more. Browsers
 * and proxies ask one after the other there; who asks on and on and reads nothing would fill the memory with answers.
 */
export function unanswered(): (request: IncomingMessage, response: ServerResponse) => boolean {
  const counts = new WeakMap<object, number>();
  return ({ socket, httpVersionMajor }, response) => {
    if (httpVersionMajor > 1) return true;
    const count = (counts.get(socket) ?? 0) + 1;
    counts.set(socket, count);
    response.once("close", () => counts.set(socket, counts.get(socket)! - 1));
    return count <= MAX_UNANSWERED;
  };
}
