/** What all routes share: errors as answers, bodies and headers as values. */
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import { z } from "zod";
import { type ErrorCode, TidingsError } from "../errors.ts";
import { allowedOrigin, type Origins } from "../hub/origins.ts";
import type { ListOptions } from "../pages/store.ts";
import { isId } from "../protocol.ts";
import { waitForBody } from "./slow-bodies.ts";

const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  too_slow: 408,
  conflict: 409,
  stale: 412,
  too_large: 413,
  unsupported: 415,
  key_reused: 422,
  too_many: 429,
  settings: 500,
  internal: 500,
  closed: 503,
  unavailable: 503,
};

/** Sends `{ error: { code, message, field? } }` with its status. What is ours to mend is logged, and told to nobody. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toTidingsError(error);
  const isBeyondFile = statusOf(error) === UNSATISFIABLE;
  const status = isBeyondFile ? UNSATISFIABLE : STATUS[known.code];
  // How long the file is.
  if (isBeyondFile) reply.headers((error as { headers?: Record<string, string> }).headers ?? {});
  if (status >= 500) request.log.error({ err: error }, "the request failed");
  if (status === 401) {
    if (request.headers.authorization || request.method === "POST") {
      request.log.warn({ address: request.ip, url: request.url }, "refused: no token, or a wrong one");
    }
    reply.header("WWW-Authenticate", 'Bearer realm="tidings"');
  }
  if (status === 429 || status === 503) reply.header("Retry-After", "5");
  return reply.code(status).send({ error: errorBody(known) });
}

// A commit whose answer was lost may have been made.
const UNAVAILABLE =
  "the store cannot be reached now; try again, with the same Idempotency-Key to change nothing twice";

function errorBody({ code, detail, field }: TidingsError): {
  code: ErrorCode;
  message: string;
  field?: string;
} {
  // What failed inside (a path, a host) is the log's business.
  const message = code === "unavailable" ? UNAVAILABLE : detail;
  return field === undefined ? { code, message } : { code, message, field };
}

/** Of a range that a file has nothing of (RFC 9110, 15.5.17). */
const UNSATISFIABLE = 416;

function statusOf(error: unknown): number {
  return (error as { statusCode?: number }).statusCode ?? 500;
}

function toTidingsError(error: unknown): TidingsError {
  if (error instanceof TidingsError) return error;
  const { code = "", message } = error as Error & { code?: string };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return new TidingsError("too_large", "the body is too large");
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return new TidingsError("unsupported", "the body must be JSON: send Content-Type: application/json");
  }
  if (code.startsWith("FST_ERR_CTP_")) {
    return new TidingsError("invalid", `the body is malformed: ${message}`, { field: "body" });
  }
  if (code === "FST_ERR_BAD_URL" || code === "FST_ERR_MAX_PARAM_LENGTH") {
    return new TidingsError("invalid", "the URL is malformed or too long", { field: "url" });
  }
  if (code === "FST_CP_ERR_INVALID_CONTENT_ENCODING") {
    return new TidingsError("unsupported", "the body may be compressed once, by gzip, deflate or br", {
      field: "Content-Encoding",
    });
  }
  if (code === "FST_CP_ERR_INVALID_CONTENT") {
    return new TidingsError("invalid", "the body is not what its Content-Encoding says", { field: "body" });
  }
  const status = statusOf(error);
  // A file whose name begins with a dot is none of ours.
  if (status === 403 || status === 404) return new TidingsError("not_found", "there is nothing here");
  if (status === 412) return new TidingsError("stale", "the file is another version");
  if (status === UNSATISFIABLE) {
    return new TidingsError("invalid", "the file has no such range", { field: "Range" });
  }
  if (status >= 400 && status < 500) return new TidingsError("invalid", "the request is malformed");
  return new TidingsError("internal", "something went wrong inside the server; its log says what", {
    cause: error,
  });
}

/** Adds routes for those whom `check` lets through; what else is asked of `/api` is told only to them that it is not there. */
export async function guarded(
  app: FastifyInstance,
  check: (request: FastifyRequest) => void,
  addRoutes: (api: FastifyInstance) => void,
): Promise<void> {
  await app.register(async (api) => {
    api.addHook("onRequest", async (request, reply) => {
      reply.headers({ "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" });
      check(request);
      waitForBody(request);
    });
    addRoutes(api);
    api.all("/api/*", async () => {
      throw new TidingsError("not_found", "there is nothing here");
    });
  });
}

/** A hook that lets the scripts of other origins read the answer, errors too, where `origins` says so. */
export function readableFrom(origins: Origins): onRequestHookHandler {
  return ({ headers, host }, reply, done) => {
    const allowed = allowedOrigin(origins, headers.origin, host);
    if (allowed !== null) reply.header("Access-Control-Allow-Origin", allowed);
    // A cache must not give what one origin was told to another.
    if (allowed !== "*") reply.header("Vary", "Origin");
    done();
  };
}

/** Checks a body or query against its schema; throws `invalid` naming the first field that is wrong. */
export function parse<T>(schema: z.ZodType<T>, value: unknown, what = "body"): T {
  const result = schema.safeParse(value === undefined ? {} : value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const extra = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const path = [...issue.path, ...(extra === undefined ? [] : [extra])].join(".") || what;
  const rule =
    extra !== undefined
      ? "is not known here"
      : path === what
        ? "must be a JSON object"
        : lowerFirst(issue.message);
  throw new TidingsError("invalid", `${path}: ${rule}`, { field: path });
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** A channel id or post id in a body. */
export const idField: z.ZodType<string> = z
  .string("must be text")
  .refine(isId, 'must be 1 to 255 characters, without "/" and control characters, and not "." or ".."');

/** `?limit=&after=` of a list. */
export function listOptions(query: unknown): ListOptions {
  const { limit, after } = (query ?? {}) as Record<string, unknown>;
  if (
    limit !== undefined &&
    !(/^\d{1,3}$/.test(String(limit)) && Number(limit) >= 1 && Number(limit) <= 200)
  ) {
    throw new TidingsError("invalid", "limit must be a number from 1 to 200", { field: "limit" });
  }
  if (after !== undefined && (typeof after !== "string" || after.length > 300)) {
    throw new TidingsError("invalid", 'after must be the "next" of an earlier answer', { field: "after" });
  }
  return { limit: limit === undefined ? undefined : Number(limit), after };
}

/** The `Idempotency-Key`, if there is one: 1–255 visible characters. */
export function idempotencyKey(request: FastifyRequest): { idempotencyKey: string | undefined } {
  const key = request.headers["idempotency-key"];
  if (key !== undefined && !(typeof key === "string" && /^[\x21-\x7e]{1,255}$/.test(key))) {
    throw new TidingsError("invalid", "Idempotency-Key must be 1 to 255 visible ASCII characters", {
      field: "Idempotency-Key",
    });
  }
  return { idempotencyKey: key };
}

export const etagOf = (version: string): string => `"${version}"`;

/** The versions that `If-Match` allows; `undefined` when any will do. Weak tags never match (RFC 9110). */
export function ifMatch(request: FastifyRequest): { versions: readonly string[] | undefined } {
  const header = request.headers["if-match"];
  if (header === undefined || header.trim() === "*") return { versions: undefined };
  const tags = [...header.matchAll(/(W\/)?"([^"]*)"/g)];
  if (tags.length === 0) {
    throw new TidingsError("invalid", 'If-Match must be an ETag in quotes, or "*"', { field: "If-Match" });
  }
  return { versions: tags.filter(([, weak]) => weak === undefined).map(([, , version]) => version!) };
}
