/** What readers fall back to where WebSockets are blocked. */
import type { FastifyInstance, HTTPMethods } from "fastify";
import type { NodeAdapterOptions } from "../adapters/node.ts";
import { type PathKind, placeOf } from "../adapters/paths.ts";
import { nodePolling } from "../adapters/polling.ts";
import { type NodeHandler, nodeSse } from "../adapters/sse.ts";
import type { Hub } from "../hub/hub.ts";

const METHODS: HTTPMethods[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Bytes: the least that there is a setting for. */
const NO_BODY = 1;

/** Adds `/sse/channel/<id>/` and `/updates/channel/<id>/`. */
export function fallbackRoutes(app: FastifyInstance, hub: Hub, addressing: NodeAdapterOptions): void {
  const serve = (kind: PathKind, handle: NodeHandler) => {
    // A wildcard, because the whole path has to be right, up to its last slash.
    app.route({
      url: `/${kind}/channel/*`,
      method: METHODS,
      exposeHeadRoute: false,
      bodyLimit: NO_BODY,
      // Before a body is read: nobody has a use for one, and `closeIfUnread` sees to the connection.
      onRequest(request, reply, done) {
        if (!placeOf(request.raw.url ?? "", "", kind)) return done();
        reply.hijack();
        // The adapter knows better whether a stream's reader is there.
        if (kind === "sse") request.raw.socket.setTimeout(0);
        handle(request.raw, reply.raw);
      },
      handler: (_request, reply) => reply.callNotFound(),
    });
  };
  serve("sse", nodeSse(hub, addressing));
  serve("updates", nodePolling(hub, addressing));
}
