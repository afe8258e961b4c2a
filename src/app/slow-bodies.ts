/** Bodies that come slowly: who has shown that he may write is given the time, a stranger is not. */
import { PassThrough } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { TidingsError } from "../errors.ts";
import { hasBody } from "./unread.ts";

/** What strangers send (a login) is small. */
const STRANGERS_MS = 10_000;

const patient = new WeakSet<FastifyRequest>();

/** The body of this request may take as long as the server lets any. */
export function waitForBody(request: FastifyRequest): void {
  patient.add(request);
}

/** Answers `too_slow` to a body that is not in after 10 s, unless {@link waitForBody} was called before it is read. */
export function hurryStrangers(app: FastifyInstance): void {
  app.addHook("preParsing", (request, _reply, payload, done) => {
    const { raw } = request;
    if (raw.complete || !hasBody(raw) || patient.has(request)) return done(null, payload);
    // To fail the request itself would end its connection before the answer.
    const body = new PassThrough();
    const seconds = STRANGERS_MS / 1_000;
    const late = setTimeout(() => {
      body.destroy(new TidingsError("too_slow", `the body was not in after ${seconds} s`));
    }, STRANGERS_MS);
    // It may have been refused meanwhile, with nobody left who hears of an error.
    body.on("error", () => {});
    body.once("close", () => clearTimeout(late));
    raw.once("close", () => {
      if (!raw.complete) body.destroy();
    });
    done(null, payload.pipe(body));
  });
}
