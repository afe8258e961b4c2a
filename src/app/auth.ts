/**
 * Who may write: the holder of the token, or an editor with a session. Wrong guesses are not counted: the token
 * is too long to guess, and a count per address would lock out everybody behind one proxy.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { TidingsError } from "../errors.ts";
import { isAllowedOrigin } from "../hub/origins.ts";

const COOKIE = "tidings_session";
const SESSION_MS = 30 * 86_400_000;
const CODE_MS = 86_400_000;

export interface AuthOptions {
  readonly token: string;
  /** Signs session cookies; kept in the store, so that a restart ends no session. */
  readonly sessionSecret: string;
  /** The site's own origin behind a proxy, besides the host asked. */
  readonly publicUrl?: string | undefined;
}

export interface Auth {
  /** Lets the request go on, or throws `unauthorized`, or `forbidden` (a write from another site's page). */
  check(request: FastifyRequest): void;
  /** Opens a session for who brings the token, or a code that was not used before. */
  logIn(request: FastifyRequest, reply: FastifyReply, secret: { token?: string; code?: string }): void;
  logOut(reply: FastifyReply): void;
  /** A code that opens one session, within a day. */
  mintCode(): string;
}

export function createAuth({ token, sessionSecret, publicUrl }: AuthOptions): Auth {
  // Tied to the token: whoever changes it ends all sessions.
  const key = createHash("sha256").update(`${sessionSecret}\n${token}`).digest();
  const tokenHash = hash(token);
  const codes = new Map<string, number>();
  const origins = publicUrl === undefined ? ["own"] : ["own", new URL(publicUrl).origin];

  function isToken(given: string): boolean {
    return timingSafeEqual(hash(given), tokenHash);
  }

  function sign(expires: number): string {
    return `${expires}.${createHmac("sha256", key).update(String(expires)).digest("base64url")}`;
  }

  function hasSession(request: FastifyRequest): boolean {
    const cookie = request.cookies[COOKIE];
    const expires = Number(cookie?.split(".", 1)[0]);
    if (cookie === undefined || !(expires > Date.now())) return false;
    return timingSafeEqual(hash(cookie), hash(sign(expires)));
  }

  /** A browser names the page that a request comes from; a page of another site may not use the cookie. */
  function isOwnOrigin(request: FastifyRequest): boolean {
    const { origin } = request.headers;
    return origin !== undefined && isAllowedOrigin(origins, origin, request.host);
  }

  function cookie(request: FastifyRequest, value: string, maxAge: number): string {
    const secure = request.protocol === "https" || publicUrl?.startsWith("https:") ? "; Secure" : "";
    return `${COOKIE}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`;
  }

  return {
    check(request) {
      const { authorization } = request.headers;
      if (authorization !== undefined) {
        const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
        if (given !== undefined && isToken(given)) return;
        throw new TidingsError("unauthorized", "the token is wrong");
      }
      if (!hasSession(request)) {
        throw new TidingsError("unauthorized", "a token is needed: send Authorization: Bearer <token>");
      }
      const reads = request.method === "GET" || request.method === "HEAD";
      if (!reads && !isOwnOrigin(request)) {
        throw new TidingsError("forbidden", "a session's writes must come from this site's own pages");
      }
    },

    logIn(request, reply, { token: given, code }) {
      if (request.headers.origin !== undefined && !isOwnOrigin(request)) {
        throw new TidingsError("forbidden", "sessions are opened from this site's own pages");
      }
      const expires = code === undefined ? undefined : codes.get(code);
      if (code !== undefined) codes.delete(code);
      const holds = given === undefined ? expires !== undefined && expires > Date.now() : isToken(given);
      if (!holds) {
        const why = given === undefined ? "the code was used before, or is too old" : "the token is wrong";
        throw new TidingsError("unauthorized", why);
      }
      reply.header("Set-Cookie", cookie(request, sign(Date.now() + SESSION_MS), SESSION_MS / 1000));
    },

    logOut(reply) {
      reply.header("Set-Cookie", cookie(reply.request, "", 0));
    },

    mintCode() {
      const code = randomBytes(16).toString("base64url");
      codes.set(code, Date.now() + CODE_MS);
      return code;
    },
  };
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
