/** What readers and editors open in a browser: pages and their assets. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import compress from "@fastify/compress";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply } from "fastify";
import { TidingsError } from "../errors.ts";
import type { Origins } from "../hub/origins.ts";
import { FRAME_ORIGINS } from "../pages/embeds.ts";
import type { Page } from "../pages/model.ts";
import type { PageStore } from "../pages/store.ts";
import { indexPage, notFoundPage, readerPage, type SiteSettings } from "../templates/pages.ts";
import { readableFrom } from "./http.ts";
import { shared } from "./shared.ts";

/** Pages shown on the front page. */
const MAX_LISTED = 200;

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  `frame-src ${["'self'", ...FRAME_ORIGINS].join(" ")}`,
  "base-uri 'none'",
];
const READER_POLICY = [...POLICY, "img-src 'self' https: http:", "form-action 'none'"].join("; ");
const EDITOR_POLICY = [
  ...POLICY,
  "img-src 'self' https: http: blob:",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

/** Adds `/`, `/live/<id>/` (which pages of `origins` may embed), `/editor` and the assets. */
export async function siteRoutes(
  app: FastifyInstance,
  store: PageStore,
  settings: SiteSettings,
  origins: Origins,
): Promise<void> {
  const built = builtFolder();
  // What readers see and nothing else: not when a hidden post was edited. A new version makes new HTML.
  const maker = `${packageVersion(built)}\n${JSON.stringify(settings)}`;
  const etagOf = ({ cursor, title }: Page): string => {
    const hash = createHash("sha256").update(`${maker}\n${title}`).digest("base64url");
    return `W/"${cursor}-${hash.slice(0, 12)}"`;
  };
  // A page that has changed is asked for anew by many at once.
  const render = shared(async (key) => {
    const view = await store.viewPage(key.slice(0, key.indexOf("\n")));
    return { etag: etagOf(view.page), page: Buffer.from(readerPage(view, settings)) };
  });
  await assetRoutes(app);
  await app.register(fastifyStatic, {
    root: join(built, "editor"),
    prefix: "/editor/",
    index: false,
    setHeaders: (reply) => reply.header("X-Content-Type-Options", "nosniff"),
  });

  app.get("/", async (_request, reply) => {
    const { items } = await store.listPages({ limit: MAX_LISTED });
    return sendPage(reply, READER_POLICY, indexPage(items, settings));
  });

  const embeddable = { onRequest: readableFrom(origins) };
  app.get<{ Params: { channelId: string } }>("/live/:channelId", embeddable, ({ params }, reply) =>
    reply.redirect(`/live/${encodeURIComponent(params.channelId)}/`, 301),
  );

  app.get<{ Params: { channelId: string } }>(
    "/live/:channelId/",
    embeddable,
    async ({ params, headers }, reply) => {
      let page: Page;
      try {
        page = await store.getPage(params.channelId);
      } catch (error) {
        if (!(error instanceof TidingsError) || error.code !== "not_found") throw error;
        return sendNotFound(reply, settings);
      }
      // Old copies do no harm: the page goes on from the cursor that it was made at.
      reply.header("Cache-Control", "public, max-age=0, s-maxage=1, stale-while-revalidate=4");
      const now = etagOf(page);
      if (headers["if-none-match"] === now) return reply.code(304).send();
      const rendered = await render(`${params.channelId}\n${now}`, reply.raw);
      reply.header("ETag", rendered.etag);
      return sendPage(reply, READER_POLICY, rendered.page);
    },
  );

  app.get("/editor/", (_request, reply) => reply.redirect("/editor", 301));
  app.get("/editor", (_request, reply) => {
    secure(reply, EDITOR_POLICY).header("Cache-Control", "no-cache");
    return reply.sendFile("index.html", join(built, "editor"), { cacheControl: false });
  });
}

/** Adds what readers' browsers load, also on pages of other sites. */
export async function assetRoutes(app: FastifyInstance): Promise<void> {
  await app.register(compress, { encodings: ["br", "gzip"], threshold: 1024 });
  await app.register(fastifyStatic, {
    root: join(builtFolder(), "assets"),
    prefix: "/assets/",
    decorateReply: false,
    // Pages of other sites load them, also those that ask for CORS (modules, `integrity`) or for isolation.
    setHeaders: (reply) =>
      reply
        .header("X-Content-Type-Options", "nosniff")
        .header("Access-Control-Allow-Origin", "*")
        .header("Cross-Origin-Resource-Policy", "cross-origin"),
  });
}

/** Everything that is nowhere: a page for people, a code for programs. */
export function sendNotFound(reply: FastifyReply, settings: SiteSettings): FastifyReply {
  // The page may be made the next moment: a cache must not know better.
  return sendPage(reply.code(404).header("Cache-Control", "no-store"), READER_POLICY, notFoundPage(settings));
}

function sendPage(reply: FastifyReply, policy: string, page: string | Buffer): FastifyReply {
  return secure(reply, policy).type("text/html; charset=utf-8").send(page);
}

function secure(reply: FastifyReply, policy: string): FastifyReply {
  return reply
    .header("Content-Security-Policy", policy)
    .header("X-Content-Type-Options", "nosniff")
    .header("Referrer-Policy", "strict-origin-when-cross-origin");
}

function packageVersion(built: string): string {
  return (JSON.parse(readFileSync(join(built, "..", "package.json"), "utf8")) as { version: string }).version;
}

/** `dist/` of this package, whether this file runs from there or from `src/`. */
function builtFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  const built = join(folder, "dist");
  if (!existsSync(join(built, "assets")) || !existsSync(join(built, "editor"))) {
    throw new TidingsError(
      "settings",
      `the pages' scripts are not built (no ${built}/assets): run npm run build`,
    );
  }
  return built;
}
