/** `/api/channels/<id>`: for a CMS of your own. It renders, we deliver. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { TidingsError } from "../../errors.ts";
import type { Log } from "../../logs/log.ts";
import { checkId, type Draft, draftUpdate } from "../../protocol.ts";
import type { Publisher } from "../../publishers/publisher.ts";
import { idempotencyKey, parse } from "../http.ts";
import type { PageParams } from "./pages.ts";

const Update = z.strictObject({ renders: z.unknown().optional(), removals: z.unknown().optional() });

/** What each costs the process is little, but nobody is sent anything meanwhile. */
const MAX_POSTS = 10_000;

/** The update in a body `{ renders?, removals? }`, of which one must be there. Throws `invalid` and `too_large`. */
export function updateIn(body: unknown): Draft {
  const { renders, removals } = parse(Update, body);
  if (renders === undefined && removals === undefined) {
    throw new TidingsError("invalid", "the body must hold renders, removals, or both", { field: "body" });
  }
  for (const [field, posts] of Object.entries({ renders, removals })) {
    const count = typeof posts === "object" && posts !== null ? Object.keys(posts).length : 0;
    if (count > MAX_POSTS) {
      const what = `${field} holds ${count} posts; send at most ${MAX_POSTS} in one update`;
      throw new TidingsError("too_large", what, { field });
    }
  }
  return draftUpdate(renders ?? {}, removals ?? []);
}

export interface ChannelRoutesOptions {
  readonly log: Log;
  readonly publisher: Publisher;
  readonly trustedHtml: boolean;
}

export function channelRoutes(app: FastifyInstance, options: ChannelRoutesOptions): void {
  const { log, publisher, trustedHtml } = options;

  app.get<{ Params: PageParams }>("/api/channels/:channelId", async ({ params }) => {
    const channelId = checkId(params.channelId, "channelId");
    const [cursor] = await log.heads([channelId]);
    return { channelId, cursor };
  });

  app.post<{ Params: PageParams }>("/api/channels/:channelId/updates", async (request) => {
    const channelId = checkId(request.params.channelId, "channelId");
    const draft = updateIn(request.body);
    const { checkPostHtml } = await import("../../pages/blocks.ts");
    const renders = trustedHtml ? draft.renders : checkPostHtml(draft.renders);
    return publisher.publish(channelId, renders, draft.removals, idempotencyKey(request));
  });
}
