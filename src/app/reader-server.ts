/** An HTTP server that readers connect to, whichever way they can: what `serve` and `relay` share. */
import { setTimeout as wait } from "node:timers/promises";
import proxyAddress from "@fastify/proxy-addr";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import type { Logger } from "pino";
import { attachWebSocket, type NodeAdapterOptions } from "../adapters/node.ts";
import { watchUpgrades } from "../adapters/upgrades.ts";
import { TidingsError } from "../errors.ts";
import type { Hub } from "../hub/hub.ts";
import { trackConnections } from "./connections.ts";
import { fallbackRoutes } from "./fallbacks.ts";
import { sendError } from "./http.ts";
import { readJson } from "./json-bodies.ts";
import { type Listening, listen } from "./listen.ts";
import { boundConnections } from "./open-files.ts";
import { BoundedResponse } from "./response.ts";
import { localUrl, type Settings } from "./settings.ts";
import { hurryStrangers } from "./slow-bodies.ts";
import { takeTurns } from "./turns.ts";
import { closeIfUnread, refuseUnreadBodies } from "./unread.ts";

/** JSON bodies: a post of 1 MB may grow when it is quoted. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Room for a channel id of 255 characters, percent-encoded. */
const MAX_PARAM_LENGTH = 4_096;
/** A connection that neither sends nor takes a byte for so long is cut off; those of streams and sockets have rules of their own. */
const STILL_MS = 120_000;
/** How often Node looks for requests that take too long: its own 30 s would make three quarters of a minute of 15 s. */
const CONNECTIONS_LOOKED_AT_MS = 5_000;
/** How long requests under way may take at the end; the store takes up to 4 s more to let go. */
const CLOSE_MS = 5_000;

export interface ReaderServerOptions {
  readonly settings: Pick<Settings, "host" | "port" | "trustProxy" | "drainSeconds">;
  readonly hub: Hub;
  readonly logger: Logger;
  /** What a path is taken for; default: what it is. */
  readonly rewritePath?: (url: string) => string;
  /** How frames travel to a reader over a WebSocket. Default: whole. */
  readonly transportOf?: NodeAdapterOptions["transportOf"];
}

/** `draining`: it serves as ever, and wants no new work; `closing`: it takes none. */
export type Phase = "serving" | "draining" | "closing";

export interface ReaderServer {
  /** For the routes of whoever serves more than readers. */
  readonly app: FastifyInstance;
  /** Rejects with `settings` when it cannot listen as told. Resolves with its URL, without a slash at the end. */
  listen(): Promise<string>;
  phase(): Phase;
  /**
   * Serves on for `drainSeconds`, so that whoever sends it work sees that it is not ready, and stops, before it is
   * refused. Resolves at once when that is 0.
   */
  drain(): Promise<void>;
  /** Sends readers away with a time to come back, and finishes what was begun. */
  close(): Promise<void>;
}

export function createReaderServer(options: ReaderServerOptions): ReaderServer {
  const { settings, hub, logger, rewritePath = (url) => url, transportOf } = options;
  const trusts = trusting(settings.trustProxy);
  let listening: Listening | undefined;
  let phase: Phase = "serving";
  const app = Fastify({
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    trustProxy: trusts,
    requestTimeout: 120_000,
    connectionTimeout: STILL_MS,
    http: {
      headersTimeout: 15_000,
      connectionsCheckingInterval: CONNECTIONS_LOOKED_AT_MS,
      ServerResponse: BoundedResponse,
      // Clients offer others (h2c) with ordinary requests, which RFC 9110, 7.8 lets a server ignore. Node honours it from 24.9 on.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
    },
    forceCloseConnections: "idle",
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    rewriteUrl: ({ url = "" }) => rewritePath(url),
    frameworkErrors: (error, request, reply) => {
      closeIfUnread(request.raw, reply.raw);
      sendError(error, request, reply);
    },
  });
  app.setErrorHandler(sendError);
  readJson(app);
  takeTurns(app);
  refuseUnreadBodies(app);
  hurryStrangers(app);
  const connections = trackConnections(app);
  boundConnections(app.server, logger);
  const addressing = addressingBy(trusts);
  fallbackRoutes(app, hub, addressing);
  watchUpgrades(app.server, (request) => {
    request.url = rewritePath(request.url ?? "");
  });
  const detach = attachWebSocket(app.server, hub, { ...addressing, transportOf });

  async function drain(): Promise<void> {
    const { drainSeconds: seconds } = settings;
    if (seconds === 0 || phase !== "serving") return;
    phase = "draining";
    logger.info({ seconds, readers: hub.stats().readers }, "draining: serves on, and is not ready");
    connections.endAnnounced();
    await wait(seconds * 1_000, undefined, { ref: false });
  }

  async function close(): Promise<void> {
    phase = "closing";
    // Of a start that failed, the error is all there is to say.
    if (listening) logger.info({ readers: hub.stats().readers }, "closing");
    const late = setTimeout(connections.cutAll, CLOSE_MS).unref();
    // Both stop listening at once, and wait for what was begun.
    const closed = app.close();
    const left = listening?.close();
    connections.cutIdle();
    await hub.close({ drainMs: CLOSE_MS / 2 });
    detach();
    await Promise.all([closed, left]);
    clearTimeout(late);
  }

  return {
    app,
    async listen() {
      listening = await listen(app, settings);
      return localUrl({ host: settings.host, port: listening.port });
    },
    phase: () => phase,
    drain,
    close,
  };
}

/** Bodies and queries are checked with Zod: Fastify need not load Ajv, whose hundred files would slow every start. */
function noSchemas(): () => never {
  return () => {
    throw new TidingsError("internal", "routes have no JSON schemas here");
  };
}

/** Whether the sender `hop` proxies away may say who asked before it. */
type Trusts = (address: string, hop: number) => boolean;

function trusting(trustProxy: Settings["trustProxy"]): Trusts {
  if (typeof trustProxy === "boolean") return () => trustProxy;
  if (typeof trustProxy === "number") return (_address, hop) => hop < trustProxy;
  return proxyAddress.compile([...trustProxy]);
}

/** Sockets see addresses and hosts as Fastify's requests do. */
function addressingBy(trusts: Trusts): NodeAdapterOptions {
  return {
    addressOf: (request) => proxyAddress(request, trusts),
    hostOf: ({ headers, socket }) => {
      const forwarded = headers["x-forwarded-host"];
      const isTrusted = typeof forwarded === "string" && trusts(socket.remoteAddress ?? "", 0);
      return isTrusted ? forwarded.split(",").at(-1)!.trim() : headers.host;
    },
  };
}
