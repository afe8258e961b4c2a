import { isUtf8 } from "node:buffer";
import type { FastifyInstance } from "fastify";
import { TidingsError } from "../errors.ts";

/** Reads JSON, which is UTF-8 (RFC 8259, 8.1): of text in another encoding letters would be lost without a word. */
export function readJson(app: FastifyInstance): void {
  // `__proto__` is an id like any other; bodies are read by their own keys only.
  const parse = app.getDefaultJsonParser("ignore", "ignore");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser<Buffer>("application/json", { parseAs: "buffer" }, (request, body, done) => {
    if (isUtf8(body)) parse(request, body.toString(), done);
    else done(new TidingsError("invalid", "the body must be UTF-8", { field: "body" }));
  });
}
