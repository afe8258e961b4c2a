/** `/api/session`: an editor logs in and out. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Auth } from "../auth.ts";
import { parse } from "../http.ts";

/** Of those that anybody may send. */
const MAX_BODY_BYTES = 4096;
const secret = z.string("must be text").min(1, "must not be empty").max(1000, "is too long");
const Credentials = z.union([z.strictObject({ token: secret }), z.strictObject({ code: secret })]);

export function sessionRoutes(app: FastifyInstance, auth: Auth): void {
  app.post("/api/session", { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
    auth.logIn(request, reply, parse<{ token?: string; code?: string }>(Credentials, request.body));
    return reply.code(204).send();
  });

  app.delete("/api/session", { bodyLimit: MAX_BODY_BYTES }, async (_request, reply) => {
    auth.logOut(reply);
    return reply.code(204).send();
  });
}
