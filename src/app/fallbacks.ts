/** What readers fall back to where WebSockets are blocked. */
import type { FastifyInstance } from "fastify";
import type { NodeAdapterOptions } from "../adapters/node.ts";
import { type PathKind, placeOf } from "../adapters/paths.ts";
import { nodePolling } from "../adapters/polling.ts";
import { type NodeHandler, nodeSse } from "../adapters/sse.ts";
import type { Hub } from "../hub/hub.ts";

/** Adds `/sse/channel/<id>/` and `/updates/channel/<id>/`. */
export function fallbackRoutes(app: FastifyInstance, hub: Hub, addressing: NodeAdapterOptions): void {
  const serve = (kind: PathKind, handle: NodeHandler) => {
    // A wildcard, because the whole path has to be right, up to its last slash.
    app.get(`/${kind}/channel/*`, (request, reply) => {
      if (!placeOf(request.raw.url ?? "", "", kind)) return reply.callNotFound();
      reply.hijack();
      handle(request.raw, reply.raw);
    });
  };
  serve("sse", nodeSse(hub, addressing));
  serve("updates", nodePolling(hub, addressing));
}
