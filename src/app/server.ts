/** `tidings serve`, put together. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import cookie from "@fastify/cookie";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { TidingsError } from "../errors.ts";
import { createHub, type Hub } from "../hub/hub.ts";
import type { Origins } from "../hub/origins.ts";
import type { Log } from "../logs/log.ts";
import type { PageStore, SecretStore } from "../pages/store.ts";
import { createDelivery } from "../publishers/delivery.ts";
import { createPagePublisher, type PagePublisher } from "../publishers/pages.ts";
import { createPublisher, type Publisher } from "../publishers/publisher.ts";
import { channelRoutes } from "./api/channels.ts";
import { imageDownload, imageUpload } from "./api/images.ts";
import { pageRoutes } from "./api/pages.ts";
import { postRoutes } from "./api/posts.ts";
import { sessionRoutes } from "./api/session.ts";
import { type Auth, createAuth } from "./auth.ts";
import { foldersOf, openBus, openLog, openStore } from "./backends.ts";
import { firstPage, type Greeting } from "./first-start.ts";
import { guarded, sendError } from "./http.ts";
import { createMetrics, healthRoutes } from "./observe.ts";
import { loadPublisher } from "./own-publisher.ts";
import { createReaderServer, type ReaderServer } from "./reader-server.ts";
import type { Settings } from "./settings.ts";
import { sendNotFound, siteRoutes } from "./site.ts";

export interface RunningServer {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly token: string;
  /** What the banner tells: links, and on the first start the token, or where it is. */
  readonly greeting: Greeting;
  readonly hub: Hub;
  /** Before `close`, for a server that others take over from: see {@link ReaderServer.drain}. */
  drain(): Promise<void>;
  /** Sends readers away with a time to come back, finishes what was begun, and lets go of everything. */
  close(): Promise<void>;
}

/**
 * Starts a whole live blog. Rejects with `settings` when it cannot listen or open its store as told.
 *
 * @example
 * const server = await startServer(await readSettings(), pino());
 * console.log(server.url);
 */
export async function startServer(settings: Settings, logger: Logger): Promise<RunningServer> {
  await makeFolders(settings);
  const opened: (() => unknown)[] = [];
  try {
    return await startOn(settings, logger, opened);
  } catch (error) {
    for (const close of opened.reverse()) await close();
    throw error;
  }
}

/** @param opened Gets what undoes each step, for a start that fails halfway. */
async function startOn(
  settings: Settings,
  logger: Logger,
  opened: (() => unknown)[],
): Promise<RunningServer> {
  const { publicUrl } = settings;
  const origins =
    publicUrl === undefined ? settings.origins : [...settings.origins, new URL(publicUrl).origin];
  const imageUrl = (id: string) => `${publicUrl ?? ""}/images/${id}`;
  const onError = (err: unknown, context: object) => logger.warn({ err, ...context }, "went on without it");
  const own = settings.publisher === undefined ? undefined : await loadPublisher(settings.publisher);
  const delivery = own && createDelivery({ publisher: own, onError });
  if (delivery) opened.push(() => delivery.close({ drainMs: 0 }));
  const store = await openStore(settings, { imageUrl }, onError);
  opened.push(() => store.close());
  const log = await openLog(settings, store, onError);
  if (log !== store) opened.push(() => log.close());
  const bus = await openBus(settings, onError);
  opened.push(() => bus.close());
  const secrets = await readSecrets(store, settings);
  const { file: tokenFile, isNew } = await keepToken(secrets.token, settings, logger);
  const hub = createHub({
    log,
    bus,
    origins,
    maxConnectionsPerAddress: settings.maxConnectionsPerAddress,
    onError,
  });
  opened.push(() => hub.close({ drainMs: 0 }));
  const publisher = createPublisher({ log, bus, delivery, onError });
  const pages = createPagePublisher({ store, bus, delivery, onError });
  const auth = createAuth({ ...secrets, publicUrl });

  const server = createReaderServer({ settings, hub, logger });
  opened.push(server.close);
  const { app, phase, drain } = server;
  await app.register(cookie);
  const parts = {
    settings,
    origins,
    store,
    log,
    hub,
    publisher,
    pages,
    auth,
    imageUrl,
    phase,
  };
  await addRoutes(app, parts);
  const first = await firstPage(store, pages);
  const url = await server.listen();
  readyToWrite().catch((error: unknown) => onError(error, { stage: "start" }));
  const { made: isFirst } = await store.secret("greeted", () => "yes");

  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    await server.close();
    await Promise.all([log.close(), bus.close(), delivery?.close()]);
    logger.info("closed");
  }

  const site = publicUrl ?? url;
  return {
    url,
    token: secrets.token,
    hub,
    greeting: {
      readers: `${site}/live/${encodeURIComponent(first ?? "welcome")}/`,
      editor: `${site}/editor#code=${auth.mintCode()}`,
      // Also when an earlier first start did not get this far.
      ...((isNew || isFirst) && settings.token === undefined && { token: secrets.token, tokenFile }),
    },
    drain,
    close: () => (closing ??= close()),
  };
}

interface Parts {
  readonly settings: Settings;
  readonly origins: Origins;
  readonly store: PageStore;
  readonly log: Log;
  readonly hub: Hub;
  readonly publisher: Publisher;
  readonly pages: PagePublisher;
  readonly auth: Auth;
  readonly imageUrl: (id: string) => string;
  readonly phase: ReaderServer["phase"];
}

async function addRoutes(app: FastifyInstance, parts: Parts): Promise<void> {
  const { settings, origins, store, hub, auth, pages, imageUrl } = parts;
  const { trustedHtml } = settings;
  const metrics = createMetrics(hub);
  metrics.observe(app);
  healthRoutes(app, { ...parts, heads: store.heads });
  sessionRoutes(app, auth);
  imageDownload(app, store);
  await siteRoutes(app, store, settings, origins);
  await guarded(app, auth.check, (api) => {
    metrics.route(api);
    pageRoutes(api, store, pages);
    postRoutes(api, store, pages, { trustedHtml });
    imageUpload(api, store, imageUrl);
    channelRoutes(api, { ...parts, trustedHtml });
  });
  app.setNotFoundHandler((request, reply) =>
    request.headers.accept?.includes("text/html")
      ? sendNotFound(reply, settings)
      : sendError(new TidingsError("not_found", "there is nothing here"), request, reply),
  );
}

/**
 * Loads what only writers need: after readers can come in, yet not as late as with the first post, by when an upgrade may
 * have replaced the files.
 */
async function readyToWrite(): Promise<void> {
  await Promise.all([import("../pages/blocks.ts"), import("../pages/images.ts")]);
}

/** The token and the key of sessions; made on the first start, kept in the store. */
async function readSecrets(store: SecretStore, { token }: Settings) {
  const random = () => randomBytes(24).toString("base64url");
  const { value: sessionSecret } = await store.secret("session", random);
  return { sessionSecret, token: token ?? (await store.secret("token", random)).value };
}

/** Puts a token that we made where commands of this machine find it. `isNew`: it was not there. */
async function keepToken(
  token: string,
  settings: Settings,
  logger: Logger,
): Promise<{ file: string; isNew: boolean }> {
  const file = join(settings.data, "token");
  const kept = await readFile(file, "utf8").catch(() => "");
  if (kept.trim() === token) return { file, isNew: false };
  if (settings.token !== undefined) {
    if (kept !== "") logger.warn({ file }, "holds another token than the one that was set");
    return { file, isNew: false };
  }
  await writing(settings.data, async () => {
    await writeFile(`${file}.new`, `${token}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  });
  return { file, isNew: true };
}

async function makeFolders(settings: Settings): Promise<void> {
  for (const folder of foldersOf(settings)) {
    await writing(folder, () => mkdir(folder, { recursive: true, mode: 0o700 }));
  }
}

/** A folder that cannot be written is a setting to change, and one line. */
async function writing(folder: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TidingsError(
      "settings",
      `the data folder ${folder} cannot be written (${why}): choose another with --data`,
      {
        cause,
      },
    );
  }
}
