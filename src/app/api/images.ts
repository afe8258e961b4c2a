/** `POST /api/images`, and `GET /images/<id>` for everybody. */
import type { FastifyInstance } from "fastify";
import { TidingsError } from "../../errors.ts";
import type { PageStore } from "../../pages/store.ts";
import { idempotencyKey } from "../http.ts";
import { shared } from "../shared.ts";

const MAX_IMAGE_BYTES = 10 * 1024 * 1024;

export function imageUpload(app: FastifyInstance, store: PageStore, imageUrl: (id: string) => string): void {
  app.register(async (scope) => {
    // The bytes decide what it is, whatever the header says.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      "*",
      { parseAs: "buffer", bodyLimit: MAX_IMAGE_BYTES },
      (_request, body, done) => {
        done(null, body);
      },
    );
    scope.post("/api/images", { bodyLimit: MAX_IMAGE_BYTES }, async (request, reply) => {
      const { body } = request;
      if (!Buffer.isBuffer(body) || body.length === 0) {
        throw new TidingsError("invalid", "the body must be the picture's bytes", { field: "body" });
      }
      const { inspectImage } = await import("../../pages/images.ts");
      const image = await store.addImage(inspectImage(body), body, idempotencyKey(request));
      const url = imageUrl(image.id);
      return reply
        .code(201)
        .header("Location", url)
        .send({ ...image, url });
    });
  });
}

export function imageDownload(app: FastifyInstance, store: PageStore): void {
  // All readers of a page ask for a new picture at the same time.
  const read = shared((id) => store.readImage(id).then(({ bytes }) => asBuffer(bytes)));

  app.get<{ Params: { id: string } }>("/images/:id", async ({ params, headers }, reply) => {
    const image = await store.getImage(params.id);
    reply
      .header("ETag", `"${image.id}"`)
      .header("Cache-Control", "public, max-age=31536000, immutable")
      .header("X-Content-Type-Options", "nosniff")
      .header("Content-Security-Policy", "default-src 'none'; sandbox")
      .header("Cross-Origin-Resource-Policy", "cross-origin");
    if (headers["if-none-match"] === `"${image.id}"`) return reply.code(304).send();
    return reply.type(image.type).send(await read(params.id, reply.raw));
  });
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
