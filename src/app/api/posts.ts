/** `/api/pages/<id>/posts` */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { TidingsError } from "../../errors.ts";
import type { Block } from "../../pages/model.ts";
import type { PageStore } from "../../pages/store.ts";
import { isImageId } from "../../pages/urls.ts";
import type { PagePublisher } from "../../publishers/pages.ts";
import { etagOf, idempotencyKey, idField, ifMatch, listOptions, parse } from "../http.ts";
import type { PageParams } from "./pages.ts";

const show = z.boolean("must be true or false").optional();
const content = z.unknown().optional();
const YEAR_MS = 365 * 86_400_000;
const NewPost = z.strictObject({
  content,
  show,
  id: idField.optional(),
  created: z
    .int("must be a time in milliseconds since 1970")
    .min(0, "must be a time in milliseconds since 1970")
    .refine((time) => time <= Date.now() + YEAR_MS, "must not be later than a year from now")
    .optional(),
});
const PostPatch = z.strictObject({ content, show });

interface PostParams extends PageParams {
  readonly postId: string;
}

export interface PostRoutesOptions {
  readonly trustedHtml: boolean;
}

export function postRoutes(
  app: FastifyInstance,
  store: PageStore,
  publisher: PagePublisher,
  { trustedHtml }: PostRoutesOptions,
): void {
  const LIST = "/api/pages/:channelId/posts";
  const ONE = "/api/pages/:channelId/posts/:postId";

  async function blocks(input: unknown): Promise<Block[]> {
    const { parseBlocks } = await import("../../pages/blocks.ts");
    const parsed = parseBlocks(input, { trustedHtml });
    return Promise.all(parsed.map((block, i) => withSize(block, `content.${i}.value`)));
  }

  /** An uploaded picture brings its size, so that the page keeps room for it. */
  async function withSize(block: Block, field: string): Promise<Block> {
    if (block.type !== "image" || !isImageId(block.value)) return block;
    const { width, height } = await store.getImage(block.value).catch((cause: unknown) => {
      if (!(cause instanceof TidingsError) || cause.code !== "not_found") throw cause;
      throw new TidingsError("invalid", `${field} names no uploaded picture`, { field, cause });
    });
    return { ...block, width, height };
  }

  app.get<{ Params: PageParams }>(LIST, ({ params, query }) =>
    store.listPosts(params.channelId, listOptions(query)),
  );

  app.post<{ Params: PageParams }>(LIST, async (request, reply) => {
    const { channelId } = request.params;
    const { content, ...rest } = parse(NewPost, request.body);
    const draft = { ...rest, content: await blocks(content) };
    const post = await publisher.createPost(channelId, draft, idempotencyKey(request));
    const location = `/api/pages/${encodeURIComponent(channelId)}/posts/${encodeURIComponent(post.id)}`;
    return reply.code(201).header("Location", location).header("ETag", etagOf(post.version)).send(post);
  });

  app.get<{ Params: PostParams }>(ONE, async ({ params }, reply) => {
    const post = await store.getPost(params.channelId, params.postId);
    return reply.header("ETag", etagOf(post.version)).send(post);
  });

  app.patch<{ Params: PostParams }>(ONE, async (request, reply) => {
    const { channelId, postId } = request.params;
    const { content, show } = parse(PostPatch, request.body);
    const patch = { show, content: content === undefined ? undefined : await blocks(content) };
    const post = await publisher.updatePost(channelId, postId, patch, ifMatch(request));
    return reply.header("ETag", etagOf(post.version)).send(post);
  });

  app.delete<{ Params: PostParams }>(ONE, async (request, reply) => {
    await publisher.deletePost(request.params.channelId, request.params.postId, ifMatch(request));
    return reply.code(204).send();
  });
}
