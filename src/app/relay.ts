/** `tidings relay`, put together. */
import { randomBytes } from "node:crypto";
import cookie from "@fastify/cookie";
import type { FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { TidingsError } from "../errors.ts";
import { createHub, type Hub } from "../hub/hub.ts";
import { checkId } from "../protocol.ts";
import { transportOfReader } from "../relay/original.ts";
import { createRelay, type Relay } from "../relay/relay.ts";
import { channelsSource, wagtailSource } from "../relay/sources.ts";
import { updateIn } from "./api/channels.ts";
import { createAuth } from "./auth.ts";
import { need } from "./backends.ts";
import { guarded, sendError } from "./http.ts";
import { createMetrics, healthRoutes } from "./observe.ts";
import { createReaderServer, type ReaderServer } from "./reader-server.ts";
import type { RelaySettings } from "./settings.ts";
import { assetRoutes } from "./site.ts";

export interface RunningRelay {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly hub: Hub;
  /** Before `close`, for a relay that others take over from: see {@link ReaderServer.drain}. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** What stands before the path of a site's sockets: its servers looked at the end of it alone. */
const PREFIX = /^\/[^?]*?(?=\/(?:ws|sse|updates)\/channel\/)/;

/**
 * Starts the relay of a Wagtail Live site. Rejects with `settings` when it cannot listen as told; a Redis that is away is
 * waited for.
 *
 * @example
 * const relay = await startRelay(await readRelaySettings(), pino());
 */
export async function startRelay(settings: RelaySettings, logger: Logger): Promise<RunningRelay> {
  await need("redis", "tidings relay");
  const onError = (err: unknown, context: object) => logger.warn({ err, ...context }, "went on without it");
  const { redisUrl: url, channelsPrefix: prefix } = settings;
  const source = prefix === undefined ? wagtailSource : channelsSource(prefix);
  const relay = createRelay({ url, source, onError });
  const { origins, maxConnectionsPerAddress } = settings;
  const hub = createHub({ ...relay, origins, maxConnectionsPerAddress, onError });
  const server = createReaderServer({
    settings,
    hub,
    logger,
    rewritePath: (path) => path.replace(PREFIX, ""),
    transportOf: transportOfReader,
  });

  async function close(): Promise<void> {
    await server.close();
    await relay.close();
  }

  async function end(): Promise<void> {
    await close();
    logger.info("closed");
  }

  relay.bus.onStatus?.((status) => {
    if (status === "up") logger.info("hears the site again");
  });
  try {
    await addRoutes(server, { relay, hub, settings, logger });
    const listening = await server.listen();
    let closing: Promise<void> | undefined;
    return { url: listening, hub, drain: server.drain, close: () => (closing ??= end()) };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Parts {
  readonly relay: Relay;
  readonly hub: Hub;
  readonly settings: RelaySettings;
  readonly logger: Logger;
}

async function addRoutes(
  { app, phase }: ReaderServer,
  { relay, hub, settings, logger }: Parts,
): Promise<void> {
  const { token } = settings;
  const random = () => randomBytes(24).toString("base64url");
  const auth = createAuth({ token: token ?? random(), sessionSecret: random() });
  const metrics = createMetrics(hub, relay);
  metrics.observe(app);
  healthRoutes(app, { hub, heads: relay.log.heads, phase, isDeafWithoutBus: true });
  await app.register(cookie);
  await assetRoutes(app);
  const check = (request: FastifyRequest) => {
    if (token === undefined) throw new TidingsError("unauthorized", NO_TOKEN);
    auth.check(request);
  };
  await guarded(app, check, (api) => {
    metrics.route(api);

    api.post<{ Params: { channelId: string } }>(
      "/api/channels/:channelId/updates",
      async (request, reply) => {
        const channelId = checkId(request.params.channelId, "channelId");
        const draft = updateIn(request.body);
        if (request.headers["idempotency-key"] !== undefined) throw unkept("Idempotency-Key");
        if ([...draft.renders.values()].some(({ version }) => version !== undefined)) throw unkept("version");
        try {
          await relay.publish(channelId, draft);
        } catch (err) {
          logger.warn({ err, channel: channelId }, "an update was not passed on");
          const message = "Redis does not take it now (the relay's log says why); try again";
          const error = { code: "unavailable", message };
          return reply.code(503).header("Retry-After", "5").send({ error });
        }
        return reply.code(202).send({ channelId });
      },
    );
  });
  app.setNotFoundHandler((request, reply) =>
    sendError(new TidingsError("not_found", "there is nothing here"), request, reply),
  );
}

const unkept = (field: string): TidingsError =>
  new TidingsError("invalid", `${field} cannot be heeded: a relay keeps nothing; tidings serve does`, {
    field,
  });

const NO_TOKEN =
  "this relay was started without a token: set TIDINGS_TOKEN to write to it and to read its metrics";
