/** `/api/pages` */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { PageStore } from "../../pages/store.ts";
import type { PagePublisher } from "../../publishers/pages.ts";
import { idempotencyKey, idField, listOptions, parse } from "../http.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const PRINTABLE = /^[^\u0000-\u001f\u007f-\u009f]*$/;
const title = z
  .string("must be text")
  .trim()
  .min(1, "must not be empty")
  .max(300, "must be at most 300 characters")
  .regex(PRINTABLE, "must not hold control characters")
  .refine((text) => text.isWellFormed(), "must be well-formed Unicode");
const NewPage = z.strictObject({ channelId: idField.optional(), title });
const PagePatch = z.strictObject({ title });

export interface PageParams {
  readonly channelId: string;
}

export function pageRoutes(app: FastifyInstance, store: PageStore, publisher: PagePublisher): void {
  app.get("/api/pages", (request) => store.listPages(listOptions(request.query)));

  app.post("/api/pages", async (request, reply) => {
    const { title, channelId = slug(title) } = parse(NewPage, request.body);
    const page = await publisher.createPage({ channelId, title }, idempotencyKey(request));
    return reply
      .code(201)
      .header("Location", `/api/pages/${encodeURIComponent(page.channelId)}`)
      .send(page);
  });

  app.get<{ Params: PageParams }>("/api/pages/:channelId", ({ params }) => store.getPage(params.channelId));

  app.patch<{ Params: PageParams }>("/api/pages/:channelId", ({ params, body }) =>
    store.updatePage(params.channelId, parse(PagePatch, body)),
  );

  app.delete<{ Params: PageParams }>("/api/pages/:channelId", async ({ params }, reply) => {
    await publisher.deletePage(params.channelId);
    return reply.code(204).send();
  });
}

/** A channel id that reads like the title: `The finals, live!` becomes `the-finals-live`. */
function slug(title: string): string {
  const words = title
    .toLowerCase()
    .normalize("NFC")
    .match(/[\p{L}\p{N}\p{M}]+/gu) ?? ["page"];
  return words.join("-").slice(0, 80).toWellFormed();
}
