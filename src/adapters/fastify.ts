import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { Hub } from "../hub/hub.ts";
import { placeOf } from "./paths.ts";
import { acceptor, ignore, onUpgrade } from "./upgrades.ts";
import { wsTransport } from "./ws-frames.ts";

export interface FastifyAdapterOptions {
  /** Closed with the app, which sends its readers away kindly. Log and bus stay open. */
  readonly hub: Hub;
  /** Before the path, as for any plugin: `"/live"`. */
  readonly prefix?: string;
}

/** An upgrade on its way through the app's hooks. */
interface Upgrading {
  readonly response: ServerResponse;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/**
 * A Fastify plugin that serves `/ws/channel/<channel id>/`. An upgrade is a request like any other: your hooks see it
 * (an `onRequest` that answers 401 keeps readers out), and `trustProxy` holds for its address and host.
 * Upgrades to other paths are left to the server's other handlers; where there is none, to the app's routes.
 * Node takes any request that offers an upgrade for one, also an ordinary one that offers `h2c` (`curl --http2`, Java's
 * `HttpClient`), whose body no route sees then. From Node 24.9 on, a server can be told otherwise, as in the second example.
 *
 * @example
 * const app = fastify();
 * app.register(fastifyWebSocket, { hub: createHub({ log, bus }) });
 * await app.listen({ port: 8765 });
 *
 * @example
 * const shouldUpgradeCallback = ({ headers }) => headers.upgrade?.toLowerCase() === "websocket";
 * const app = fastify({ http: { shouldUpgradeCallback } });
 */
export async function fastifyWebSocket(app: FastifyInstance, { hub }: FastifyAdapterOptions): Promise<void> {
  const upgrades = new WeakMap<IncomingMessage, Upgrading>();
  const { accept, terminate } = acceptor();

  function route(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", ignore);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    // What Node's server sees to itself when the request is no upgrade.
    response.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
    response.on("finish", () => socket.end(() => socket.destroy()));
    upgrades.set(request, { response, socket, head });
    app.routing(request, response);
  }

  // A wildcard, because `maxParamLength` would cut ids short.
  app.get("/ws/channel/*", async (request, reply) => {
    const place = placeOf(request.raw.url ?? "", app.prefix);
    const upgrading = upgrades.get(request.raw);
    if (!place || !upgrading) return reply.callNotFound();
    const answer = await hub.admit({
      ...place,
      origin: request.headers.origin,
      host: request.host,
      address: request.ip,
      transport: wsTransport,
    });
    if ("status" in answer) {
      if (answer.retryAfter !== undefined) reply.header("Retry-After", answer.retryAfter);
      return reply.code(answer.status).type("text/plain; charset=utf-8").send(answer.reason);
    }
    const { response, socket, head } = upgrading;
    reply.hijack();
    response.detachSocket(socket as Parameters<ServerResponse["detachSocket"]>[0]);
    accept(answer, request.raw, socket, head);
  });

  const detach = onUpgrade(app.server, app.prefix, route, route);
  app.addHook("preClose", async () => {
    await hub.close();
    detach();
    terminate();
  });
}
